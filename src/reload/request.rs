//! A request that tells an app: an expected status means that it was told.

use ::http::header::{AUTHORIZATION, HeaderValue};
use ::http::{Method, StatusCode};
use reqwest::Client;
use zeroize::Zeroizing;

use super::{HookRequest, News};
use crate::config;
use crate::domain::publication::ReloadFault;
use crate::domain::secret::Secret;
use crate::system::http::{self, Transport, host, unreachable};
use crate::system::{blocking, errors, names, short_file};

const STORE: &str = "bc-secrets-sync-store";
const GENERATION: &str = "bc-secrets-sync-generation";

/// Sends the request once. Token and authorities are read anew each time; the body of the answer is not read.
///
/// # Errors
/// It could not be sent, no answer came in time, or another status than an expected one.
pub(super) async fn send(request: &HookRequest, news: &News<'_>) -> Result<String, ReloadFault> {
    let host = host(&request.url);
    let (client, authorization) = {
        let request = request.clone();
        // A client is rarely needed, and one for each of many stores would fill the memory with authorities.
        blocking::run(move || prepare(&request)).await?
    };
    let method = match request.method {
        config::Method::Get => Method::GET,
        config::Method::Post => Method::POST,
        config::Method::Put => Method::PUT,
    };
    let mut sent = client
        .request(method, request.url.clone())
        .header(STORE, news.store.as_str())
        .header(GENERATION, news.generation);
    if let Some(authorization) = authorization {
        sent = sent.header(AUTHORIZATION, authorization);
    }
    let answer =
        sent.send().await.map_err(|error| ReloadFault::new(unreachable(&host, request.timeout, error)))?;
    let status = answer.status();
    let expected = match &request.expected_statuses {
        Some(expected) => expected.contains(&status.as_u16()),
        None => status.is_success(),
    };
    if expected {
        return Ok(format!("{host} answered {}", status.as_u16()));
    }
    Err(ReloadFault::new(format!("{host} answered {}{}", status.as_u16(), advice(status, request))))
}

/// What the operator can do about an answer.
fn advice(status: StatusCode, request: &HookRequest) -> &'static str {
    match status {
        status if status.is_redirection() => ": redirects are not followed; set url to the final address",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if request.bearer_token_file.is_some() => {
            ": check that bearer_token_file holds the app's token"
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ": the app may want a token; name its file in bearer_token_file"
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => ": check url",
        StatusCode::METHOD_NOT_ALLOWED => ": check url and method",
        _ => "",
    }
}

fn prepare(request: &HookRequest) -> Result<(Client, Option<HeaderValue>), ReloadFault> {
    let transport = Transport::of(&request.url);
    let client = http::client(request.timeout, request.ca_file.as_deref(), transport, &names::HOOKS)
        .map_err(|error| ReloadFault::new(errors::chain(&error)))?;
    let Some(path) = &request.bearer_token_file else { return Ok((client, None)) };
    let unusable = |why: &dyn std::fmt::Display| {
        ReloadFault::new(format!("cannot use bearer_token_file {}: {why}", path.display()))
    };
    let mut token = short_file::read(path).map_err(|error| unusable(&error))?;
    let token = Secret::new(std::mem::take(&mut *token));
    let header = Zeroizing::new(format!("Bearer {}", token.expose().trim()));
    let mut header = HeaderValue::from_str(&header)
        .map_err(|_| unusable(&"it must hold a token in one line, without control characters"))?;
    header.set_sensitive(true);
    Ok((client, Some(header)))
}

#[cfg(test)]
mod tests;
