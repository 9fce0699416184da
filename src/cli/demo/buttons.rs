//! The buttons of the demo, and the webhook that receives its alerts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::sandbox::http::{Answer, Handler};

use super::stage::{STORE, World};

/// An alert as the webhook received it.
#[derive(Clone, Serialize)]
pub(super) struct Alert {
    /// The same at each try.
    webhook_id: String,
    body: Value,
}

impl Alert {
    /// A text of the body, by its JSON pointer; empty when there is none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn evidence(&self) -> impl Iterator<Item = &str> {
        let evidence = self.body.pointer("/data/evidence").and_then(Value::as_array);
        evidence.into_iter().flatten().filter_map(Value::as_str)
    }
}

/// The alerts that have been received, each once.
#[derive(Default)]
pub(super) struct Board(Mutex<Vec<Alert>>);

impl Board {
    /// Keeps an alert unless it came before: delivery is at least once, and the id stays the same.
    fn receive(&self, webhook_id: &str, body: Value) {
        let mut alerts = self.lock();
        if alerts.iter().all(|known| known.webhook_id != webhook_id) {
            alerts.push(Alert { webhook_id: webhook_id.to_owned(), body });
        }
    }

    /// The alert at this place, when it has come.
    pub(super) fn get(&self, at: usize) -> Option<Alert> {
        self.lock().get(at).cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Alert>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Buttons {
    world: World,
    board: std::sync::Arc<Board>,
    /// The account that the merchant sees now: user and token.
    account: Mutex<Option<(String, String)>>,
}

impl Buttons {
    pub(super) fn new(world: World, board: std::sync::Arc<Board>) -> Self {
        Self { world, board, account: Mutex::default() }
    }

    fn press(&self, button: &str) -> (StatusCode, String) {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        match (button, account.as_mut()) {
            ("/create-account", _) => {
                let created = self.world.store.create_account(STORE, "integration");
                *account = Some((created.username, created.api_token));
                done("there is an account \"integration\" now; write it to Vault")
            }
            ("/generate-new-token", Some((_, token))) => {
                *token = self.world.store.regenerate_token(STORE);
                done("the old token is dead; expect an alert in a few seconds")
            }
            ("/write-to-vault", Some((username, token))) => {
                let version = self.world.write(username, token);
                done(&format!("Vault has version {version} now"))
            }
            ("/mistype", Some((username, token))) => {
                let version = self.world.write(username, &format!("{token}x"));
                done(&format!(
                    "Vault has version {version} now, with a mistyped token: it will not be published"
                ))
            }
            ("/delete-account", Some(_)) => {
                self.world.store.delete_account(STORE);
                *account = None;
                done("the account is gone; expect an alert in a few seconds")
            }
            ("/generate-new-token" | "/write-to-vault" | "/mistype" | "/delete-account", None) => {
                (StatusCode::CONFLICT, "there is no account; press /create-account first\n".into())
            }
            _ => (StatusCode::NOT_FOUND, "there is no such button\n".into()),
        }
    }
}

fn done(text: &str) -> (StatusCode, String) {
    (StatusCode::OK, format!("{text}\n"))
}

impl Handler for Buttons {
    async fn handle(&self, request: Request<Bytes>) -> Answer {
        let (status, text) = match (request.method(), request.uri().path()) {
            (&Method::POST, "/webhook") => {
                let id =
                    request.headers().get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
                match serde_json::from_slice(request.body()) {
                    Ok(alert) => {
                        self.board.receive(id, alert);
                        (StatusCode::NO_CONTENT, String::new())
                    }
                    Err(_) => (StatusCode::BAD_REQUEST, "an alert is a JSON object\n".into()),
                }
            }
            (&Method::GET, "/alerts") => {
                let alerts = serde_json::to_string_pretty(&*self.board.lock()).unwrap_or_default();
                (StatusCode::OK, alerts + "\n")
            }
            (&Method::POST, button) => self.press(button),
            _ => (StatusCode::METHOD_NOT_ALLOWED, "press a button with POST\n".into()),
        };
        let mut response = Response::new(Bytes::from(text));
        *response.status_mut() = status;
        Answer::Whole(response)
    }
}
