//! The secret service, played: what GNOME Keyring does only on a desktop.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::bus::{Bus, Message};
use super::session::Half;
use super::wire::{Order, Reader, STRUCTURE, Writer};
use super::*;

/// Path of the played item, and of the question whether it may be unlocked.
const ITEM: &str = "/item";
const QUESTION: &str = "/question";

/// What somebody on the desktop does.
#[derive(Clone, Copy)]
enum Somebody {
    Agrees,
    Dismisses,
    /// The service asks nobody: it answers with an error.
    IsNotAsked,
}

/// A bus with one locked item.
struct Played {
    stream: UnixStream,
    somebody: Somebody,
    key: Option<Key>,
    calls: Vec<String>,
}

impl Played {
    async fn run(mut self) -> Vec<String> {
        let mut arrived = Vec::new();
        self.greet(&mut arrived).await;
        loop {
            while let Some((message, length)) = Message::first(&arrived).unwrap() {
                let serial = Reader::new(&arrived[8..], Order::Little).number().unwrap();
                arrived.drain(..length);
                self.answer(&message, serial).await;
                self.calls.push(message.fields.member);
            }
            if self.stream.read_buf(&mut arrived).await.unwrap() == 0 {
                return self.calls;
            }
        }
    }

    async fn greet(&mut self, arrived: &mut Vec<u8>) {
        for answer in ["OK 0123\r\n", ""] {
            while !arrived.contains(&b'\n') {
                self.stream.read_buf(arrived).await.unwrap();
            }
            let end = arrived.iter().position(|byte| *byte == b'\n').unwrap();
            arrived.drain(..=end);
            self.stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    async fn answer(&mut self, call: &Message, serial: u32) {
        let mut body = Writer::default();
        let signature = match call.fields.member.as_str() {
            "OpenSession" => {
                let half = Half::chosen().unwrap();
                let mut arguments = call.body.reader();
                arguments.text().unwrap();
                arguments.signature().unwrap();
                body.signature("ay").octets(&half.public()).text("/session");
                self.key = Some(half.agreed(arguments.octets().unwrap()));
                "vo"
            }
            "SearchItems" => {
                body.array(4, |_| {}).array(4, |paths| {
                    paths.text(ITEM);
                });
                "aoao"
            }
            "Unlock" => {
                body.array(4, |_| {}).text(QUESTION);
                "aoo"
            }
            "Prompt" if matches!(self.somebody, Somebody::IsNotAsked) => {
                body.text("nobody is there");
                return self.send(3, &[(4, "s", "org.freedesktop.Refused")], serial, "s", &body).await;
            }
            "Prompt" => {
                // The answer may come before that to the call.
                let mut completed = Writer::default();
                completed.number(u32::from(matches!(self.somebody, Somebody::Dismisses)));
                completed.signature("s").text("");
                let fields = [(1, "o", QUESTION), (3, "s", "Completed")];
                self.send(4, &fields, 0, "bv", &completed).await;
                ""
            }
            "GetSecret" => {
                let sealed = self.key.as_ref().unwrap().seal(b"hidden").unwrap();
                body.text("/session").octets(&sealed.vector).octets(&sealed.value).text("text/plain");
                "(oayays)"
            }
            _ => "",
        };
        self.send(2, &[], serial, signature, &body).await;
    }

    async fn send(&mut self, kind: u8, texts: &[(u8, &str, &str)], to: u32, signature: &str, body: &Writer) {
        let mut message = Writer::default();
        message.byte(b'l').byte(kind).byte(0).byte(1);
        message.number(body.bytes().len().try_into().unwrap()).number(1);
        message.array(STRUCTURE, |fields| {
            for (field, kind, value) in texts {
                fields.align(STRUCTURE).byte(*field).signature(kind).text(value);
            }
            fields.align(STRUCTURE).byte(5).signature("u").number(to);
            fields.align(STRUCTURE).byte(8).signature("g").signature(signature);
        });
        message.align(STRUCTURE).raw(body.bytes());
        self.stream.write_all(message.bytes()).await.unwrap();
    }
}

/// What is read of the item, and what was called for it.
async fn read(somebody: Somebody) -> (Result<Option<Secret>>, Vec<String>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let played = Played { stream: theirs, somebody, key: None, calls: Vec::new() };
    let played = tokio::spawn(played.run());
    let service = Service::open(Bus::greeted(ours).await.unwrap()).await.unwrap();
    let store = OsStore(Mutex::new(service));
    let secret = store.get("account").await;
    drop(store);
    (secret, played.await.unwrap())
}

#[tokio::test]
async fn a_locked_item_is_read_once_somebody_has_unlocked_it() {
    let (secret, calls) = read(Somebody::Agrees).await;
    assert_eq!(secret.unwrap().unwrap().reveal(), "hidden");
    let expected = ["Hello", "OpenSession", "SearchItems", "Unlock", "AddMatch", "Prompt", "GetSecret"];
    assert_eq!(calls, expected);
}

#[tokio::test]
async fn a_locked_item_that_nobody_unlocks_is_not_read() {
    let (secret, calls) = read(Somebody::Dismisses).await;
    assert_eq!(secret.unwrap_err(), "it is locked (its keyring is locked, and nobody unlocked it)");
    assert_eq!(calls.last().unwrap(), "Prompt");
}

#[tokio::test]
async fn a_refusal_of_the_service_is_told_in_its_words() {
    let (secret, _) = read(Somebody::IsNotAsked).await;
    assert_eq!(secret.unwrap_err(), "it is locked (nobody is there (org.freedesktop.Refused))");
}
