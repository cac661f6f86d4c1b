//! What clients ask before they show a key: whether anybody is there.
//!
//! Claude Code 2.1.197 begins with `HEAD /`, without a key. It gets an empty yes, the same
//! for everybody: a probe is no action, reaches no upstream and leaves no record.

use bytes::Bytes;
use http::{Method, Response, request::Parts};

/// The answer to a probe; `None` to any other request.
pub(crate) fn answer(head: &Parts) -> Option<Response<Bytes>> {
    let asks = matches!(head.method, Method::HEAD | Method::GET);
    (asks && head.uri.path() == "/").then(Response::default)
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};

    use super::answer;

    #[test]
    fn only_a_look_at_the_root_is_a_probe() {
        for (method, target, want) in [
            (Method::HEAD, "/", true),
            (Method::GET, "/", true),
            (Method::HEAD, "/?x", true),
            (Method::POST, "/", false),
            (Method::OPTIONS, "/", false),
            (Method::HEAD, "//", false),
            (Method::HEAD, "/v1/models", false),
        ] {
            let request = Request::builder().method(&method).uri(target).body(()).unwrap();
            let answer = answer(&request.into_parts().0);
            assert_eq!(answer.is_some(), want, "{method} {target}");
            assert!(answer.is_none_or(|yes| yes.headers().is_empty() && yes.body().is_empty()));
        }
    }
}
