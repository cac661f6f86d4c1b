//! A server that wants OAuth, asked with the token of Provost's account there.

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, uri::PathAndQuery};
use provost_gateway::{Upstream, UpstreamBody};
use secrecy::SecretString;

use super::{Answered, Exchange, NoAnswer, body::Body, to_upstream};
use crate::{
    oauth::{Account, AccountError, Challenge},
    wire::head,
};

impl Exchange<'_> {
    /// Asks the server; once more with a new token if it does not take the first, for then it
    /// has not done anything yet.
    pub(super) async fn send_with(
        &self,
        (upstream, target, account): (&Upstream, &PathAndQuery, &Account),
        (method, headers): (Method, HeaderMap),
        body: Bytes,
    ) -> Result<Answered, Box<NoAnswer>> {
        let token = account.token(self.permit).await.map_err(|error| self.not_lent(&error))?;
        let ask = async |token: &SecretString| {
            let headers = head::onward(&headers, Some(token));
            let headers = headers.ok_or_else(|| NoAnswer::broken(&"headers"))?;
            let request = to_upstream((method.clone(), target), headers, body.clone());
            let answered = upstream.send(self.permit, request).await;
            answered.map_err(|error| self.not_reached(&error))
        };
        let mut answer = ask(&token).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            drop(answer);
            let renewed = account.token_after(self.permit, &token).await;
            answer = ask(&renewed.map_err(|error| self.not_lent(&error))?).await?;
        }
        if let Some(error) = refused(account, &answer) {
            let mut no_answer = self.not_lent(&error);
            no_answer.outcome.code = Some(answer.status().as_u16());
            return Err(no_answer);
        }
        self.judge(answer.map(Body::Http), None)
    }

    fn not_lent(&self, error: &AccountError) -> Box<NoAnswer> {
        let (action, server) = (self.permit.action(), &self.server.name);
        tracing::warn!(%action, %server, %error, "no answer for want of a login");
        NoAnswer::broken(error)
    }
}

/// What is told in place of an answer that is about Provost's own token.
fn refused(account: &Account, answer: &Response<UpstreamBody>) -> Option<AccountError> {
    let challenge = || Challenge::of(answer.headers()).filter(Challenge::wants_scope);
    match answer.status() {
        StatusCode::UNAUTHORIZED => Some(account.over()),
        StatusCode::FORBIDDEN => challenge().map(|it| account.lacks(it.scope.as_deref())),
        _ => None,
    }
}
