//! A secret ID that comes wrapped: the file holds a token that gives it out once.

use std::sync::{Arc, Mutex, PoisonError};

use vaultrs::api::sys::requests::{UnwrapRequest, WrappingLookupRequest};
use zeroize::{Zeroize, Zeroizing};

use crate::domain::secret::Secret;
use crate::domain::source::SourceFault;

use super::answer;
use super::login::Token;
use super::transport::Transport;

/// Unwraps each wrapping token once, and keeps what it held for later log-ins.
pub(super) struct Wrapping {
    /// Where the wrapping token must have been made.
    path: String,
    unwrapped: Arc<Mutex<Option<Unwrapped>>>,
}

struct Unwrapped {
    token: Secret,
    secret_id: Secret,
}

impl Wrapping {
    pub(super) fn new(path: String) -> Self {
        Self { path, unwrapped: Arc::default() }
    }

    /// Whatever this one unwraps, or has unwrapped, the other one need not: it could not.
    pub(super) fn shared_with(&self, other: &mut Self) {
        if self.path == other.path {
            other.unwrapped = Arc::clone(&self.unwrapped);
        }
    }

    /// The secret ID that a wrapping token stands for.
    pub(super) async fn secret_id(
        &self,
        transport: &Transport,
        token: Zeroizing<String>,
    ) -> Result<Zeroizing<String>, SourceFault> {
        let token = Secret::new(token.to_string());
        if let Some(known) = self.known(&token) {
            return Ok(known);
        }
        // Somebody who got hold of the token may have put one of their own in its place: only what the role's
        // own path has made is taken, and it is looked at before it is used up.
        let mut request = WrappingLookupRequest { token: token.expose().to_owned() };
        let looked_up = transport.send(&request, None).await;
        request.token.zeroize();
        answer::wrapped_at(&looked_up?, &self.path)?;
        let header = Token::new(Zeroizing::new(token.expose().to_owned())).ok_or_else(|| {
            SourceFault::LoginFile(
                "the wrapping token has characters that no token has; write the token alone".into(),
            )
        })?;
        let answer = transport.send(&UnwrapRequest { token: None }, Some(&header)).await?;
        let secret_id = answer::unwrapped_secret_id(&answer)?;
        let kept = Unwrapped { token, secret_id: Secret::new(secret_id.to_string()) };
        *self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(secret_id)
    }

    fn known(&self, token: &Secret) -> Option<Zeroizing<String>> {
        let unwrapped = self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner);
        let known = unwrapped.as_ref().filter(|unwrapped| unwrapped.token.same_as(token))?;
        Some(Zeroizing::new(known.secret_id.expose().to_owned()))
    }
}
