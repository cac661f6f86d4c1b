//! What all servers list, as one list on one page.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Response;
use provost_types::ActionId;

use super::{
    ToAll,
    renamed::listed,
    sessions::Member,
    subs::{Said, next_page},
};
use crate::{
    classify::What,
    execute::{ANSWER_BYTES_MAX, PAGES_MAX},
    refuse::NO_ANSWER,
    wire::{
        edit::at,
        json,
        jsonrpc::{Id, Message},
    },
};

/// A kind of list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    method: &'static str,
    /// Where a result has it.
    array: &'static str,
    /// Which capability a server has that has such.
    capability: &'static str,
    /// What in an item says which it is.
    name: &'static str,
}

const LISTINGS: [Listing; 4] = [
    Listing { method: "tools/list", array: "tools", capability: "tools", name: "name" },
    Listing { method: "prompts/list", array: "prompts", capability: "prompts", name: "name" },
    Listing {
        method: "resources/list",
        array: "resources",
        capability: "resources",
        name: "uri",
    },
    Listing {
        method: "resources/templates/list",
        array: "resourceTemplates",
        capability: "resources",
        name: "uriTemplate",
    },
];

impl Listing {
    /// The list that a method asks for.
    pub(super) fn of(method: &str) -> Option<Self> {
        LISTINGS.into_iter().find(|listing| listing.method == method)
    }
}

/// What has come so far.
#[derive(Debug, Default)]
struct Listed {
    /// Items by server, whose names sort.
    items: BTreeMap<String, Vec<String>>,
    bytes: usize,
    caching: Caching,
    /// What those said that are left out.
    others: Vec<(Member, Said)>,
}

/// For how long and for whom an answer may be kept: as the strictest server says.
/// Source: MCP 2026-07-28, "Caching".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Caching {
    milliseconds: Option<u64>,
    is_private: bool,
}

impl Caching {
    /// Heeds what a result says.
    pub(super) fn heed(&mut self, result: &str) {
        let told = at(result, &["ttlMs"]).and_then(|told| told.get().parse().ok());
        let told: u64 = told.unwrap_or_default();
        self.milliseconds = Some(self.milliseconds.map_or(told, |least| least.min(told)));
        let scope = at(result, &["cacheScope"]).and_then(json::string);
        self.is_private |= scope.as_deref() != Some("public");
    }

    /// The members that say so.
    pub(super) fn members(self) -> String {
        let milliseconds = self.milliseconds.unwrap_or_default();
        let scope = if self.is_private { "private" } else { "public" };
        format!(r#""resultType":"complete","ttlMs":{milliseconds},"cacheScope":"{scope}""#)
    }
}

/// Asks every server that may have such for its list, to the last page.
pub(super) async fn list(request: &ToAll<'_>, listing: &Listing) -> Response<Bytes> {
    let able = request.members.iter().filter(|member| member.may(listing.capability));
    let able: Vec<_> = able.cloned().collect();
    if able.is_empty() {
        return request.answer(&format!(r#"{{"{}":[]}}"#, listing.array));
    }
    let mut said = request.ask_each(request.open_to(able)).await;
    let (mut listed, mut asked) = (Listed::default(), Vec::new());
    for _page in 0..PAGES_MAX {
        asked = listed.take(request, listing, said);
        if listed.bytes > ANSWER_BYTES_MAX {
            let message = "There is no answer: the lists of all MCP servers together are larger \
                           than Provost passes; ask each at /mcp/NAME.";
            return request.error(NO_ANSWER, message);
        }
        if asked.is_empty() {
            break;
        }
        said = request.ask_all(asked.clone()).await;
    }
    for (member, _) in asked {
        tracing::warn!(server = %member.server, "the list has too many pages: cut short");
    }
    if listed.items.is_empty() {
        return request.none(listed.others);
    }
    let items: Vec<String> = listed.items.into_values().flatten().collect();
    let caching = match request.asked.head.is_stateless() {
        true => format!(",{}", listed.caching.members()),
        false => String::new(),
    };
    request.answer(&format!(r#"{{"{}":[{}]{caching}}}"#, listing.array, items.join(",")))
}

impl Listed {
    /// Takes pages; those that are to be asked next.
    fn take(
        &mut self,
        request: &ToAll<'_>,
        listing: &Listing,
        said: Vec<(Member, Said)>,
    ) -> Vec<(Member, Bytes)> {
        let mut next = Vec::new();
        for (member, said) in said {
            let Said::Result(result, _) = &said else {
                self.others.push((member, said));
                continue;
            };
            self.caching.heed(result);
            let items = at(result, &[listing.array]);
            let items = items.and_then(|items| json::items(items.get())).unwrap_or_default();
            let own = self.items.entry(member.server.clone()).or_default();
            for item in items {
                let item = listed(&member.server, listing.name, item.get());
                self.bytes = self.bytes.saturating_add(item.as_ref().map_or(0, String::len));
                own.extend(item);
            }
            if let Some(cursor) = at(result, &["nextCursor"]).and_then(json::string) {
                // Not the client's: that of the page before may not be over yet.
                let id = Id::Text(format!("provost-{}", ActionId::generate()));
                let body = next_page(&id, (listing.method, request.params()), &cursor);
                next.push((member, body));
            }
        }
        next
    }
}

impl ToAll<'_> {
    /// What the request comes with.
    fn params(&self) -> Option<&str> {
        match &self.asked.what {
            What::Post(Message::Request { params, .. }) => params.text(),
            What::Post(Message::Notification { .. } | Message::Answer { .. })
            | What::Listen
            | What::End => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Caching;

    #[test]
    fn the_strictest_server_says_what_may_be_kept() {
        for (results, want) in [
            (&[r#"{"ttlMs":5,"cacheScope":"public"}"#][..], (5, "public")),
            (
                &[
                    r#"{"ttlMs":5,"cacheScope":"public"}"#,
                    r#"{"ttlMs":3,"cacheScope":"private"}"#,
                ],
                (3, "private"),
            ),
            (&[r#"{"ttlMs":5,"cacheScope":"public"}"#, "{}"], (0, "private")),
        ] {
            let mut caching = Caching::default();
            results.iter().for_each(|result| caching.heed(result));
            let (milliseconds, scope) = want;
            let want = format!(
                r#""resultType":"complete","ttlMs":{milliseconds},"cacheScope":"{scope}""#
            );
            assert_eq!(caching.members(), want);
        }
    }
}
