//! A network between the program and the directory: a proxy that hands everything on half a round trip later, as fast as it comes.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Cost, Plan, Report, Source, Target, load, median, searches, sync};

pub(crate) const HEAD: &str = "\nA network between the program and OpenLDAP: a proxy delays each direction by half a round trip. Round trips are the time beyond that\n\
    without a delay, divided by the delay; connecting and logging in are among them.\n\n\
    | users / groups | round trip | bwdc sync: wall | round trips | 2 x ldapsearch, pages of 1,000: wall | round trips |\n\
    | --- | --- | --- | --- | --- | --- |\n";

/// Round trips in milliseconds; 0 is the proxy alone.
const ROUND_TRIPS: [u64; 4] = [0, 1, 10, 50];

/// A sync and two searches with each delay.
pub(crate) fn measure(plan: &Plan, users: usize, report: &mut Report) {
    let groups = users / 25;
    let slapd = load(users, groups);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut none: Option<(f64, f64)> = None;
    for milliseconds in ROUND_TRIPS {
        let port = runtime.block_on(proxy(slapd.port(), Duration::from_micros(milliseconds * 500)));
        let source = Source { port, ..Source::of(&slapd) };
        let runs = 0..plan.runs;
        let pairs: Vec<(Cost, Cost)> = runs
            .map(|_| {
                let ours = sync(&plan.bwdc, plan, &source, users, groups, Target::Sink);
                (ours, searches(&slapd, &source, users, groups))
            })
            .collect();
        let wall = |cost: fn(&(Cost, Cost)) -> Cost| {
            median(pairs.iter().map(|pair| cost(pair).wall.as_secs_f64()).collect())
        };
        let (ours, theirs) = (wall(|pair| pair.0), wall(|pair| pair.1));
        let (own_none, their_none) = *none.get_or_insert((ours, theirs));
        let trips = |wall: f64, none: f64| match milliseconds {
            0 => "-".to_owned(),
            _ => format!("{:.1}", (wall - none) * 1_000.0 / milliseconds as f64),
        };
        report.row(&format!(
            "| {users} / {groups} | {milliseconds} ms | {ours:.2} s | {} | {theirs:.2} s | {} |",
            trips(ours, own_none),
            trips(theirs, their_none)
        ));
    }
}

/// Port of a proxy to this one, until the runtime ends.
async fn proxy(to: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                // The handshake of TCP takes a round trip as well.
                tokio::time::sleep(delay * 2).await;
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                pump(from_client, to_server, delay);
                pump(from_server, to_client, delay);
            });
        }
    });
    port
}

/// Hands on what comes, so much later.
fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut waiting) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 18];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if sender.send((Instant::now() + delay, buffer[..read].to_vec())).is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((at, octets)) = waiting.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&octets).await.is_err() {
                return;
            }
        }
    });
}
