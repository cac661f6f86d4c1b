//! Hop-by-hop headers: what concerns one connection and must not travel to the next.

use http::{
    HeaderMap, HeaderName,
    header::{
        CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
        UPGRADE,
    },
};

/// Source: RFC 9110 §7.6.1, and §11.7 for the two of proxy authentication. `trailer` goes
/// too, since trailers are not passed on.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes what concerns one connection only: the fixed list, and whatever `connection` names.
///
/// Call it before setting headers of our own: a client may name any header in `connection`.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::strip_hop_by_hop;

    #[test]
    fn what_concerns_one_connection_stays_on_it() {
        for (given, want) in [
            (&[("a", "1"), ("a", "2")][..], &["a", "a"][..]),
            (&[("connection", "close"), ("a", "1")], &["a"]),
            (&[("connection", "X-Mine ,a"), ("connection", "b"), ("x-mine", "1")], &[]),
            (&[("connection", ", ,\u{7f}"), ("a", "1")], &["a"]), // not names
            (&[("te", "trailers"), ("upgrade", "h2c"), ("keep-alive", "1")], &[]),
            (&[("transfer-encoding", "chunked"), ("trailer", "x"), ("b", "1")], &["b"]),
            (&[("proxy-authorization", "x"), ("proxy-connection", "close")], &[]),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                let value = HeaderValue::from_bytes(value.as_bytes());
                headers.append(
                    HeaderName::from_static(name),
                    value.unwrap_or(HeaderValue::from_static(",")),
                );
            }
            strip_hop_by_hop(&mut headers);
            let left: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(left, want, "given = {given:?}");
        }
    }
}
