//! Runs played at random, and what must hold of the alerts about them.

use proptest::prelude::*;

use super::*;
use crate::organization::Span;

const NAME: &str = "anna@example.org";

fn sender(now: i64, privacy: Privacy) -> Sender<'static> {
    Sender { instance: "hq", host: "sync01", privacy, now: Moment(now) }
}

fn rules(after: u32, now: i64) -> Rules<'static> {
    Rules { after, sender: sender(now, Privacy::Named) }
}

fn said() -> Said {
    Said { message: format!("no: {NAME}"), next_step: Some(format!("ask {NAME}")) }
}

fn outcome(at: i64, end: End, leavers: &[&str]) -> Outcome {
    let run = RunFacts {
        id: format!("run{at}"),
        command: "sync".to_owned(),
        by: "cron".to_owned(),
        at: Iso(Moment(at)),
        seconds: Some(1.0),
        exit: Some(0),
    };
    Outcome { run, end, leavers: leavers.iter().map(|&email| email.to_owned()).collect() }
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Done),
        Just(End::Failed(said())),
        Just(End::Failed(said())),
        Just(End::Held(said())),
        Just(End::Busy)
    ]
}

fn events(alerts: &[Alert]) -> Vec<Event> {
    alerts.iter().map(|alert| alert.event).collect()
}

/// Plays runs an hour apart, and returns the events of each.
fn played(ends: &[End], after: u32) -> Vec<Vec<Event>> {
    let mut incidents = Incidents::default();
    let mut told = Vec::new();
    for (hour, end) in ends.iter().enumerate() {
        let now = 3600 * (hour as i64 + 1);
        let verdict = incidents.after(&outcome(now, end.clone(), &[]), &rules(after, now));
        incidents = verdict.incidents;
        told.push(events(&verdict.alerts));
    }
    told
}

#[test]
fn trouble_is_told_once_and_its_end_once() {
    let [bad, good, held] = [End::Failed(said()), End::Done, End::Held(said())];
    let runs = [&good, &bad, &bad, &bad, &good, &good, &bad, &good, &held, &held, &good].map(Clone::clone);
    let expected: [&[Event]; 11] = [
        &[],
        &[],
        &[Event::Failed],
        &[],
        &[Event::Recovered],
        &[],
        &[],
        &[],
        &[Event::Held],
        &[],
        &[Event::Recovered],
    ];
    assert_eq!(played(&runs, 2), expected);
}

#[test]
fn a_lost_memory_is_no_silence() {
    let verdict = Incidents::forgotten().after(&outcome(1, End::Failed(said()), &[]), &rules(5, 1));
    assert_eq!(events(&verdict.alerts), [Event::Failed]);
    let verdict = Incidents::forgotten().after(&outcome(1, End::Done, &[]), &rules(5, 1));
    assert_eq!(verdict.alerts, []);
    let again = verdict.incidents.after(&outcome(2, End::Failed(said()), &[]), &rules(5, 2));
    assert_eq!(again.alerts, []);
}

#[test]
fn a_run_that_was_killed_counts_once() {
    let killed = outcome(1, End::Failed(said()), &[]);
    let first = Incidents::default().after_cut_off(&killed, &rules(1, 2));
    assert_eq!(events(&first.alerts), [Event::Failed]);
    let again = first.incidents.after_cut_off(&killed, &rules(1, 3));
    assert_eq!((again.alerts.len(), again.incidents.failures), (0, 1));
}

#[test]
fn the_interval_is_learned_and_a_miss_is_told_once() {
    let mut incidents = Incidents::default();
    for hour in 0..5 {
        let now = hour * 3600;
        incidents = incidents.after(&outcome(now, End::Done, &[]), &rules(2, now)).incidents;
    }
    assert_eq!(incidents.learned_interval(), Some(Span(3600)));
    let last = 4 * 3600;
    let check = |incidents: Incidents, now| {
        let overdue = incidents.overdue_at();
        incidents.checked(overdue, &sender(now, Privacy::Named))
    };
    let early = check(incidents, last + 3 * 3600);
    assert_eq!(early.alerts, []);
    let late = check(early.incidents, last + 3 * 3600 + 1);
    assert_eq!(events(&late.alerts), [Event::Missed]);
    let later = check(late.incidents, last + 90_000);
    assert_eq!(later.alerts, []);
    let good = later.incidents.after(&outcome(last + 90_001, End::Done, &[]), &rules(2, last + 90_001));
    assert_eq!(
        (events(&good.alerts), good.alerts[0].ended.clone()),
        (vec![Event::Recovered], vec![Event::Missed])
    );
}

#[test]
fn a_credential_is_told_thirty_seven_and_one_day_before_its_end() {
    let day = |day: i64| day * 86_400;
    let credential = |ends| Credential { name: "certificate".to_owned(), ends: Iso(Moment(ends)) };
    let mut incidents = Incidents::default();
    let mut told = Vec::new();
    for today in 0..70 {
        // Renewed when it has ended.
        let ends = if today <= 41 { day(40) } else { day(100) };
        let verdict = incidents.expiring(&[credential(ends)], &sender(day(today), Privacy::Named));
        incidents = verdict.incidents;
        told.extend(verdict.alerts.iter().map(|_| today));
    }
    assert_eq!(told, [10, 33, 39, 40]);
    // One that ended long ago and is still there is told once, too.
    let told = incidents.expiring(&[credential(day(1))], &sender(day(500), Privacy::Named));
    assert_eq!(told.alerts.len(), 1);
    let again = told.incidents.expiring(&[credential(day(1))], &sender(day(501), Privacy::Named));
    assert_eq!(again.alerts, []);
}

#[test]
fn invitations_are_told_a_day_before_their_end_in_one_message() {
    let day = |day: i64| Moment(day * 86_400);
    let invitation = |name: &str, ends| (format!("{name}@example.org"), day(ends));
    let all = [invitation("a", 5), invitation("b", 5), invitation("c", 8), invitation("d", 100)];
    let play = |privacy| {
        let mut incidents = Incidents::default();
        let mut told = Vec::new();
        for today in 0..20 {
            let verdict = incidents.invitations(&all, &sender(day(today).0, privacy));
            incidents = verdict.incidents;
            told.extend(verdict.alerts.into_iter().map(|alert| (today, alert)));
        }
        told
    };
    let told = play(Privacy::Named);
    let days: Vec<_> =
        told.iter().map(|(day, alert)| (*day, alert.invitations, alert.people.len())).collect();
    assert_eq!(days, [(4, Some(2), 2), (7, Some(1), 1)]);
    assert_eq!(told[0].1.title, "hq: 2 invitations end without an answer");
    assert_eq!(told[1].1.title, "hq: 1 invitation ends without an answer");
    let redacted = serde_json::to_string(&play(Privacy::Redacted)[0].1).unwrap();
    assert!(!redacted.contains("@example.org") && redacted.contains(r#""invitations":2"#), "{redacted}");
}

#[test]
fn a_week_is_told_by_its_first_run_on_monday_or_later() {
    // 1970-01-05 was a Monday.
    let monday = 4 * 86_400;
    let mut incidents = Incidents::default();
    let mut told = Vec::new();
    for hour in 0..400 {
        let now = monday - 3600 + hour * 3600;
        let verdict = incidents.weekly(Some(Week::default()), &sender(now, Privacy::Named));
        incidents = verdict.incidents;
        told.extend(verdict.alerts.iter().map(|_| hour));
    }
    assert_eq!(told, [1, 1 + 7 * 24, 1 + 14 * 24]);
}

#[test]
fn people_are_named_only_where_that_is_wanted() {
    let texts = |privacy| {
        let rules = Rules { after: 1, sender: sender(10, privacy) };
        let ends = [End::Failed(said()), End::Held(said()), End::Done];
        let alerts = ends.into_iter().flat_map(|end| {
            Incidents::default().after(&outcome(9, end, &[NAME, "bo@example.org"]), &rules).alerts
        });
        serde_json::to_string(&alerts.collect::<Vec<_>>()).unwrap()
    };
    assert!(texts(Privacy::Named).contains(NAME));
    assert!(!texts(Privacy::Redacted).contains("@example.org"));
    assert!(texts(Privacy::Redacted).contains(r#""left":2"#));
}

#[test]
fn an_alert_is_a_document_of_version_one() {
    let alerts = Incidents::default().after(&outcome(9, End::Failed(said()), &[]), &rules(1, 10)).alerts;
    let value = serde_json::to_value(&alerts[0]).unwrap();
    assert_eq!(value["version"], 1);
    assert_eq!((value["event"].as_str(), value["object"].as_str()), (Some("failed"), Some("alert")));
    assert_eq!(value["at"], "1970-01-01T00:00:10Z");
    assert_eq!(serde_json::from_value::<Alert>(value).unwrap(), alerts[0]);
}

proptest! {
    #![proptest_config(bwdc_testkit::few())]

    /// Between two alerts about the same trouble there is a recovery, and each recovery follows an alert.
    #[test]
    fn an_incident_is_one_message(ends in prop::collection::vec(ends(), 0..60), after in 1_u32..5) {
        let mut open = std::collections::BTreeSet::new();
        let mut bad = 0;
        for (told, end) in played(&ends, after).into_iter().zip(&ends) {
            bad = match end {
                End::Failed(_) => bad + 1,
                End::Busy => bad,
                End::Done | End::Held(_) => 0,
            };
            for event in &told {
                match event {
                    Event::Recovered => {
                        prop_assert!(!open.is_empty());
                        open.clear();
                    }
                    event => prop_assert!(open.insert(*event), "{:?} was told twice", event),
                }
            }
            // No silence either.
            match end {
                End::Failed(_) => prop_assert_eq!(bad >= after, open.contains(&Event::Failed) && bad >= after),
                End::Held(_) => prop_assert!(open.contains(&Event::Held)),
                End::Done => prop_assert!(open.is_empty()),
                End::Busy => prop_assert!(told.is_empty()),
            }
        }
    }

    /// However two deliver side by side, nothing is delivered twice, nothing is lost, and the order stays.
    #[test]
    fn what_is_claimed_is_delivered_once(steps in prop::collection::vec((any::<bool>(), 0_u8..4), 1..80)) {
        let mut outbox = Outbox::default();
        let (mut added, mut told) = (Vec::new(), Vec::new());
        let mut hands: [Vec<Alert>; 2] = Default::default();
        for (number, (who, step)) in steps.into_iter().enumerate() {
            let (name, hand) = if who { ("one", &mut hands[0]) } else { ("two", &mut hands[1]) };
            match step {
                0 => {
                    let alert = sender(0, Privacy::Named).trial(&number.to_string());
                    outbox.add(&alert, ["a"].into_iter(), Moment(0));
                    added.push(alert.id);
                }
                1 if hand.is_empty() => *hand = outbox.claim("a", name, Moment(0)),
                2 => {
                    outbox.release(name);
                    hand.clear();
                }
                _ if !hand.is_empty() => {
                    let alert = hand.remove(0);
                    outbox.delivered("a", &alert.id);
                    told.push(alert.id);
                }
                _ => {}
            }
        }
        // What is in a hand of one that was killed is free again after a while.
        told.extend(outbox.claim("a", "three", Moment(1_000)).into_iter().map(|alert| alert.id));
        prop_assert_eq!(told, added);
    }

    /// What is added stays until it is delivered, in its order.
    #[test]
    fn an_outbox_keeps_what_was_not_delivered(deliveries in prop::collection::vec(any::<bool>(), 1..40)) {
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for (number, is_delivered) in deliveries.iter().enumerate() {
            let alert = sender(number as i64, Privacy::Named).trial(&number.to_string());
            outbox.add(&alert, ["a", "b"].into_iter(), Moment(number as i64));
            expected.push(alert.id.clone());
            if *is_delivered {
                outbox.delivered("a", &alert.id);
                expected.pop();
            }
        }
        outbox.prune(|channel| channel == "a", Moment(100));
        let kept: Vec<String> = outbox.for_channel("a").map(|alert| alert.id.clone()).collect();
        prop_assert_eq!(kept, expected);
        prop_assert_eq!(outbox.for_channel("b").count(), 0);
    }
}
