//! The Secret Service over D-Bus (GNOME Keyring, KWallet, KeePassXC), without a C library. Attributes as libsecret's
//! simple API has them, which is what the existing connector goes through.

mod bus;
mod session;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

use bwdc_core::Secret;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use self::bus::{Bus, Object, Trouble};
use self::session::{ALGORITHM, Half, Key};
use self::wire::{STRUCTURE, Writer};
use super::{SERVICE, decoded, encoded};

/// How long the store may take; unlocking may ask somebody on a desktop.
const LIMIT: Duration = Duration::from_secs(30);
/// libsecret's name for secrets without a schema of their own.
const SCHEMA: (&str, &str) = ("xdg:schema", "org.freedesktop.Secret.Generic");

/// What is said instead of the path of an object that does not exist, or of a question that nobody has to answer.
const NONE: &str = "/";

type Result<T> = std::result::Result<T, String>;

pub(crate) struct OsStore(Mutex<Service>);

impl std::fmt::Debug for OsStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OsStore")
    }
}

impl OsStore {
    pub(crate) async fn open() -> Result<Self> {
        let opened = async { Service::open(Bus::of_session().await?).await };
        limited(opened).await.map(|service| Self(Mutex::new(service))).map_err(|why| {
            tracing::debug!("connecting to the secret service: {why}");
            "no secret service is running for this user".to_owned()
        })
    }

    pub(crate) async fn get(&self, account: &str) -> Result<Option<Secret>> {
        let mut service = self.0.lock().await;
        let Some(item) = service.unlocked(account).await? else { return Ok(None) };
        let bytes = limited(service.secret(&item)).await?;
        decoded(&bytes).map(Some)
    }

    pub(crate) async fn set(&self, account: &str, secret: &Secret) -> Result<()> {
        let value = encoded(secret)?;
        let mut service = self.0.lock().await;
        if let Some(item) = service.unlocked(account).await? {
            return limited(service.replace(&item, value.as_bytes())).await;
        }
        let collection = limited(service.default_collection()).await?;
        limited(service.ensure_unlocked(&collection)).await.map_err(|why| format!("it is locked ({why})"))?;
        limited(service.create(&collection, account, value.as_bytes())).await
    }

    pub(crate) async fn delete(&self, account: &str) -> Result<()> {
        let mut service = self.0.lock().await;
        match service.unlocked(account).await? {
            Some(item) => limited(service.delete(&item)).await,
            None => Ok(()),
        }
    }
}

async fn limited<T>(work: impl Future<Output = bus::Result<T>>) -> Result<T> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(result) => result.map_err(|trouble| trouble.to_string()),
        Err(_) => Err(format!("it did not answer within {} seconds", LIMIT.as_secs())),
    }
}

/// Object of the secret service, seen by one of its interfaces.
const fn object<'a>(path: &'a str, interface: &'a str) -> Object<'a> {
    Object { service: "org.freedesktop.secrets", path, interface }
}

const ROOT: Object<'static> = object("/org/freedesktop/secrets", "org.freedesktop.Secret.Service");

fn collection(path: &str) -> Object<'_> {
    object(path, "org.freedesktop.Secret.Collection")
}

fn item(path: &str) -> Object<'_> {
    object(path, "org.freedesktop.Secret.Item")
}

/// Path of an object that a service has told.
type Path = String;

/// The secret service, and a session with it.
struct Service {
    bus: Bus,
    session: Path,
    key: Key,
}

impl Service {
    async fn open(mut bus: Bus) -> bus::Result<Self> {
        let half = Half::chosen().map_err(std::io::Error::from)?;
        let answer = bus
            .call(ROOT, "OpenSession", "sv", |arguments| {
                arguments.text(ALGORITHM).signature("ay").octets(&half.public());
            })
            .await?;
        let mut answer = answer.reader();
        let ("ay", theirs) = (answer.signature()?, answer.octets()?) else {
            return Err(Trouble::Malformed);
        };
        Ok(Self { bus, session: answer.text()?.to_owned(), key: half.agreed(theirs) })
    }

    /// The item of an account, unlocked.
    async fn unlocked(&mut self, account: &str) -> Result<Option<Path>> {
        let (unlocked, locked) = limited(self.found(account)).await?;
        if let Some(item) = unlocked.into_iter().next() {
            return Ok(Some(item));
        }
        let Some(item) = locked.into_iter().next() else { return Ok(None) };
        limited(self.unlock(&item)).await.map_err(|why| format!("it is locked ({why})"))?;
        Ok(Some(item))
    }

    /// Items of an account: those that are unlocked, and those that are not.
    async fn found(&mut self, account: &str) -> bus::Result<(Vec<Path>, Vec<Path>)> {
        let answer = self
            .bus
            .call(ROOT, "SearchItems", "a{ss}", |arguments| {
                attributes(arguments, &[("service", SERVICE), ("account", account)]);
            })
            .await?;
        let mut answer = answer.reader();
        let mut paths =
            || answer.texts().map(|paths| paths.into_iter().map(str::to_owned).collect::<Vec<_>>());
        Ok((paths()?, paths()?))
    }

    async fn unlock(&mut self, path: &str) -> bus::Result<()> {
        let answer = self
            .bus
            .call(ROOT, "Unlock", "ao", |arguments| {
                arguments.array(4, |paths| {
                    paths.text(path);
                });
            })
            .await?;
        let mut answer = answer.reader();
        match (answer.texts()?.as_slice(), answer.text()?) {
            ([], question) => self.answered(question).await,
            _ => Ok(()),
        }
    }

    /// Waits until somebody has answered a question that the service asks on the desktop.
    async fn answered(&mut self, question: &str) -> bus::Result<()> {
        if question == NONE {
            return Ok(());
        }
        let prompt = object(question, "org.freedesktop.Secret.Prompt");
        self.bus.subscribe(prompt, "Completed").await?;
        self.bus
            .call(prompt, "Prompt", "s", |arguments| {
                arguments.text("");
            })
            .await?;
        match self.bus.signal(question, "Completed").await?.reader().number()? {
            0 => Ok(()),
            _ => Err(Trouble::Locked),
        }
    }

    async fn secret(&mut self, path: &str) -> bus::Result<Zeroizing<Vec<u8>>> {
        let session = &self.session;
        let answer = self
            .bus
            .call(item(path), "GetSecret", "o", |arguments| {
                arguments.text(session);
            })
            .await?;
        let mut answer = answer.reader();
        answer.text()?;
        let (vector, value) = (answer.octets()?, answer.octets()?);
        self.key.open(vector, value).ok_or(Trouble::Malformed)
    }

    async fn replace(&mut self, path: &str, value: &[u8]) -> bus::Result<()> {
        let secret = self.sealed(value)?;
        self.bus
            .call(item(path), "SetSecret", "(oayays)", |arguments| {
                arguments.raw(secret.bytes());
            })
            .await?;
        Ok(())
    }

    async fn default_collection(&mut self) -> bus::Result<Path> {
        let answer = self
            .bus
            .call(ROOT, "ReadAlias", "s", |arguments| {
                arguments.text("default");
            })
            .await?;
        match answer.reader().text()? {
            NONE => Err(Trouble::NoDefault),
            path => Ok(path.to_owned()),
        }
    }

    async fn ensure_unlocked(&mut self, path: &str) -> bus::Result<()> {
        let answer = self
            .bus
            .call(object(path, "org.freedesktop.DBus.Properties"), "Get", "ss", |arguments| {
                arguments.text(collection(path).interface).text("Locked");
            })
            .await?;
        let mut answer = answer.reader();
        match (answer.signature()?, answer.number()?) {
            ("b", 0) => Ok(()),
            ("b", _) => Err(Trouble::Locked),
            _ => Err(Trouble::Malformed),
        }
    }

    async fn create(&mut self, path: &str, account: &str, value: &[u8]) -> bus::Result<()> {
        let secret = self.sealed(value)?;
        let answer = self
            .bus
            .call(collection(path), "CreateItem", "a{sv}(oayays)b", |arguments| {
                properties(arguments, account);
                // Whatever is there already is replaced.
                arguments.align(STRUCTURE).raw(secret.bytes()).number(1);
            })
            .await?;
        let mut answer = answer.reader();
        answer.text()?;
        self.answered(answer.text()?).await
    }

    async fn delete(&mut self, path: &str) -> bus::Result<()> {
        let answer = self.bus.call(item(path), "Delete", "", |_| {}).await?;
        self.answered(answer.reader().text()?).await
    }

    /// A secret as the service takes it: `(oayays)`.
    fn sealed(&self, value: &[u8]) -> bus::Result<Writer> {
        let sealed = self.key.seal(value).map_err(std::io::Error::from)?;
        let mut secret = Writer::default();
        secret.text(&self.session).octets(&sealed.vector).octets(&sealed.value).text("text/plain");
        Ok(secret)
    }
}

/// Properties of a new item: `a{sv}`.
fn properties(body: &mut Writer, account: &str) {
    body.array(STRUCTURE, |entries| {
        let label = format!("{SERVICE}/{account}");
        entries.align(STRUCTURE).text("org.freedesktop.Secret.Item.Label").signature("s").text(&label);
        entries.align(STRUCTURE).text("org.freedesktop.Secret.Item.Attributes").signature("a{ss}");
        attributes(entries, &[("service", SERVICE), ("account", account), SCHEMA]);
    });
}

/// What an item is found by: `a{ss}`.
fn attributes(body: &mut Writer, attributes: &[(&str, &str)]) {
    body.array(STRUCTURE, |entries| {
        for (name, value) in attributes {
            entries.align(STRUCTURE).text(name).text(value);
        }
    });
}
