use std::time::{Duration, Instant};

use bwdc_sandbox::{Counted, Fault, Injection};
use reqwest::Method;
use serde_json::json;

use crate::client::Client;

async fn create(client: &Client, name: &str) -> reqwest::Result<u16> {
    let body = json!({ "name": name });
    Ok(client.send(Method::POST, "/api/public/groups", Some(&body)).await?.0)
}

fn groups(client: &Client) -> usize {
    client.sandbox.groups().unwrap().len()
}

fn inject(client: &Client, at: usize, fault: Fault) {
    client.sandbox.inject(Injection { at, counted: Counted::All, fault });
}

#[tokio::test]
async fn a_lost_request_does_nothing_and_a_lost_answer_has_done_it() {
    let client = Client::official().await;
    inject(&client, 1, Fault::Lost);
    assert!(create(&client, "a").await.is_err());
    assert_eq!(groups(&client), 0);
    for fault in [Fault::AnswerLost, Fault::AnswerCut] {
        inject(&client, 1, fault);
        let before = groups(&client);
        assert!(create(&client, "a").await.is_err(), "{fault:?}");
        assert_eq!(groups(&client), before + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_gateway_times_out_on_requests_that_are_done_sooner_or_later() {
    let client = Client::official().await;
    inject(&client, 1, Fault::GatewayTimeout);
    assert_eq!(create(&client, "a").await.unwrap(), 504);
    assert_eq!(groups(&client), 1);
    inject(&client, 1, Fault::DoneLater(200));
    assert_eq!(create(&client, "b").await.unwrap(), 504);
    assert_eq!(groups(&client), 1);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(groups(&client), 2);
    inject(&client, 1, Fault::AnsweredLater(200));
    let started = Instant::now();
    assert_eq!(create(&client, "c").await.unwrap(), 200);
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_fault_affects_only_the_nth_request_of_its_kind() {
    let mut client = Client::official().await;
    client.sandbox.inject(Injection { at: 2, counted: Counted::Changes, fault: Fault::Refused(500) });
    client.sandbox.inject(Injection { at: 2, counted: Counted::Reads, fault: Fault::Refused(429) });
    assert_eq!(create(&client, "a").await.unwrap(), 200);
    assert_eq!(client.get("/groups").await.0, 200);
    client.log_in().await;
    assert_eq!(client.get("/groups").await.0, 429);
    assert_eq!(create(&client, "b").await.unwrap(), 500);
    assert_eq!((groups(&client), client.get("/groups").await.0), (1, 200));
    inject(&client, 1, Fault::ExpiredToken);
    assert_eq!(client.get("/groups").await.0, 401);
    assert_eq!(client.get("/groups").await.0, 401);
    client.log_in().await;
    inject(&client, 1, Fault::Lost);
    client.sandbox.clear_faults();
    assert_eq!(client.get("/groups").await.0, 200);
    assert_eq!(client.sandbox.requests().last().unwrap(), "GET /api/public/groups");
}
