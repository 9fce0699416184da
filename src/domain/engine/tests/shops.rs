//! What simulated stores answer.

use std::time::Duration;

use super::world::World;
use crate::domain::credentials::Credentials;
use crate::domain::verdict::{Answer, ProbeFault, ProbeOutcome};

/// What a simulated store answers.
#[derive(Clone, Debug)]
pub(super) enum Shop {
    /// Accepts these pairs of user and token.
    Accepts(Vec<(String, String)>),
    Status(u16, Option<Duration>),
    Fails(ProbeFault),
}

impl World {
    pub(super) fn answer(&self, store: &str, credentials: &Credentials) -> ProbeOutcome {
        let answer = |status, wait, body: &str| {
            let body = body.as_bytes().to_vec();
            let certificate = self.certificates.get(store).copied();
            ProbeOutcome::Answered(Answer {
                status,
                location_host: None,
                wait,
                remaining: self.remaining,
                certificate,
                body,
            })
        };
        let pair = (credentials.username().expose(), credentials.api_token().expose());
        match &self.shops[store] {
            Shop::Accepts(pairs) if pairs.iter().any(|(user, token)| pair == (user, token)) => {
                answer(200, None, r#"{"time":1356126086}"#)
            }
            Shop::Accepts(_) => answer(401, None, ""),
            Shop::Status(status, wait) => answer(*status, *wait, ""),
            Shop::Fails(fault) => ProbeOutcome::Failed(*fault),
        }
    }
}
