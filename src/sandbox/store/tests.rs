//! The simulated store's behaviour, seen by a client over TLS.

use std::time::Instant;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use super::*;
use crate::sandbox::testing::{ANY_PORT, client};

const JSON: &str = "application/json";

async fn start() -> (SimulatedBigCommerce, Client) {
    let authority = Authority::new().unwrap();
    let platform = SimulatedBigCommerce::start(ANY_PORT, &authority).await.unwrap();
    (platform, client(Some(authority.ca_pem())))
}

fn ask(client: &Client, account: &Account) -> RequestBuilder {
    client
        .get(format!("{}time", account.api_path))
        .basic_auth(&account.username, Some(&account.api_token))
        .header("Accept", JSON)
}

async fn status(client: &Client, account: &Account) -> u16 {
    ask(client, account).send().await.unwrap().status().as_u16()
}

async fn message(response: Response) -> String {
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    body[0]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn right_credentials_get_the_time_in_json() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    let response = ask(&client, &account).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], JSON);
    assert_eq!(response.headers()["x-bc-apilimit-remaining"], "19999");
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert!(body["time"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!((platform.requests("toys"), platform.rejected("toys")), (1, 0));
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_shown_and_another_one_after_it() {
    let authority = Authority::new().unwrap();
    let platform = SimulatedBigCommerce::start(ANY_PORT, &authority).await.unwrap();
    let account = platform.create_account("toys", "sync");
    let (now, day) = (SystemTime::now(), Duration::from_secs(24 * 3600));
    // Each with a client of its own, so that no session is resumed.
    let ask_anew = || ask(&client(Some(authority.ca_pem())), &account).send();
    platform.change_certificate(&authority, now - 2 * day..now - day).unwrap();
    let error = format!("{:?}", ask_anew().await.unwrap_err());
    assert!(error.contains("ExpiredContext"), "{error}");
    platform.change_certificate(&authority, now - day..now + day).unwrap();
    assert_eq!(ask_anew().await.unwrap().status(), 200);
}

#[tokio::test]
async fn without_accept_json_the_time_comes_as_xml() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    let request = client.get(format!("{}time", account.api_path));
    let response = request.basic_auth("sync", Some(&account.api_token)).send().await.unwrap();
    let body = response.text().await.unwrap();
    assert!(body.starts_with("<?xml") && body.contains("<time>1"), "{body}");
}

#[tokio::test]
async fn a_store_told_to_speak_xml_does_so_even_when_asked_for_json() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    platform.set_behaviour("toys", Behaviour::Xml);
    let response = ask(&client, &account).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().starts_with("<?xml"));
}

#[tokio::test]
async fn wrong_credentials_are_rejected_and_missing_ones_are_called_missing() {
    let (platform, client) = start().await;
    let mut account = platform.create_account("toys", "sync");
    let path = format!("{}time", account.api_path);
    account.api_token = "wrong".to_owned();
    let wrong = ask(&client, &account).send().await.unwrap();
    let missing = client.get(path).header("Accept", JSON).send().await.unwrap();
    assert_eq!((wrong.status().as_u16(), missing.status().as_u16()), (401, 401));
    assert_ne!(message(wrong).await, "No credentials were supplied in the request.");
    assert_eq!(message(missing).await, "No credentials were supplied in the request.");
    assert_eq!((platform.requests("toys"), platform.rejected("toys")), (2, 2));
}

#[tokio::test]
async fn a_regenerated_token_replaces_the_old_one_at_once() {
    let (platform, client) = start().await;
    let old = platform.create_account("toys", "sync");
    let new = Account { api_token: platform.regenerate_token("toys"), ..old.clone() };
    assert_eq!((status(&client, &old).await, status(&client, &new).await), (401, 200));
    assert_eq!(new.api_token.len(), 40);
}

#[tokio::test]
async fn a_deleted_account_is_rejected_and_its_store_still_answers() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    platform.delete_account("toys");
    assert_eq!(status(&client, &account).await, 401);
}

#[tokio::test]
async fn a_second_account_leaves_the_first_alive_until_that_is_deleted() {
    let (platform, client) = start().await;
    let first = platform.create_account("toys", "sync");
    let second = platform.create_account("toys", "sync-2");
    assert_eq!((status(&client, &first).await, status(&client, &second).await), (200, 200));
    platform.delete_account_named("toys", "sync");
    assert_eq!((status(&client, &first).await, status(&client, &second).await), (401, 200));
}

#[tokio::test]
async fn a_token_of_ones_own_choice_is_accepted() {
    let (platform, client) = start().await;
    platform.set_account("toys", "sync", "a: token");
    let account = Account {
        username: "sync".to_owned(),
        api_token: "a: token".to_owned(),
        api_path: platform.api_path("toys"),
    };
    assert_eq!(status(&client, &account).await, 200);
}

#[tokio::test]
async fn one_stores_token_does_not_open_another() {
    let (platform, client) = start().await;
    let toys = platform.create_account("toys", "sync");
    let books = platform.create_account("books", "sync");
    let mixed = Account { api_token: toys.api_token, ..books };
    assert_eq!(status(&client, &mixed).await, 401);
    assert_eq!((platform.requests("toys"), platform.requests("books")), (0, 1));
}

#[tokio::test]
async fn unknown_stores_and_paths_are_not_found_and_other_methods_not_allowed() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    let unknown = Account { api_path: platform.api_path("nowhere"), ..account.clone() };
    assert_eq!(status(&client, &unknown).await, 404);
    let elsewhere = client.get(format!("{}store", account.api_path)).send().await.unwrap();
    assert_eq!(elsewhere.status(), 404);
    let outside =
        client.get(format!("https://localhost:{}/", platform.address().port())).send().await.unwrap();
    assert_eq!(outside.status(), 404);
    let post = client.post(format!("{}time", account.api_path)).send().await.unwrap();
    assert_eq!(post.status(), 405);
}

#[tokio::test]
async fn a_scripted_answer_is_sent_as_it_is() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    let headers = vec![("X-Retry-After".to_owned(), "7".to_owned())];
    platform.set_behaviour("toys", Behaviour::Answer { status: 509, headers, body: b"busy".to_vec() });
    let response = ask(&client, &account).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-retry-after"]),
        (509, &"7".parse().unwrap())
    );
    assert_eq!(response.text().await.unwrap(), "busy");
}

#[tokio::test]
async fn a_scripted_answer_that_http_forbids_says_so() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    let headers = vec![("bad name".to_owned(), String::new())];
    platform.set_behaviour("toys", Behaviour::Answer { status: 200, headers, body: Vec::new() });
    assert_eq!(status(&client, &account).await, 500);
    platform.set_behaviour("toys", Behaviour::Answer { status: 101, headers: Vec::new(), body: Vec::new() });
    assert_eq!(status(&client, &account).await, 500);
}

#[tokio::test]
async fn a_hanging_store_never_answers_and_delays_no_other() {
    let (platform, client) = start().await;
    let hanging = platform.create_account("toys", "sync");
    let healthy = platform.create_account("books", "sync");
    platform.set_behaviour("toys", Behaviour::Hang);
    let hung = tokio::spawn(ask(&client, &hanging).send());
    while platform.requests("toys") == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(status(&client, &healthy).await, 200);
    assert!(!hung.is_finished());
}

#[tokio::test]
async fn a_disconnecting_store_begins_an_answer_and_closes() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    platform.set_behaviour("toys", Behaviour::Disconnect);
    let response = ask(&client, &account).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let cut = response.text().await.unwrap_err();
    assert!(!cut.is_timeout());
}

#[tokio::test]
async fn a_cut_answer_has_its_status_and_not_its_whole_body() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    platform.set_behaviour("toys", Behaviour::Cut);
    for expected in [200, 401] {
        let response = ask(&client, &account).send().await.unwrap();
        assert_eq!(response.status(), expected);
        assert!(!response.text().await.unwrap_err().is_timeout());
        platform.regenerate_token("toys");
    }
}

#[tokio::test]
async fn a_slow_store_answers_after_its_delay() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    let delay = Duration::from_millis(200);
    platform.set_behaviour("toys", Behaviour::Slow(delay));
    let asked = Instant::now();
    assert_eq!(status(&client, &account).await, 200);
    assert!(asked.elapsed() >= delay);
}

#[tokio::test]
async fn an_endless_answer_goes_on_past_any_cap() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    platform.set_behaviour("toys", Behaviour::Endless);
    let mut response = ask(&client, &account).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.content_length()), (200, None));
    let mut received = 0;
    while received < 1024 * 1024 {
        received += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn it_is_reached_by_address_as_well_as_by_name() {
    let (platform, client) = start().await;
    let account = platform.create_account("toys", "sync");
    let by_address = account.api_path.replace("localhost", "127.0.0.1");
    assert_eq!(status(&client, &Account { api_path: by_address, ..account }).await, 200);
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_is_not_served() {
    let (platform, _) = start().await;
    let account = platform.create_account("toys", "sync");
    let stranger = client(Some(Authority::new().unwrap().ca_pem()));
    assert!(ask(&stranger, &account).send().await.unwrap_err().is_connect());
    assert_eq!(platform.requests("toys"), 0);
}

#[tokio::test]
async fn nothing_printed_for_debugging_holds_a_token() {
    let (platform, _) = start().await;
    let account = platform.create_account("toys", "sync");
    let printed = format!("{account:?} {platform:?}");
    assert!(printed.contains("sync") && !printed.contains(&account.api_token), "{printed}");
}
