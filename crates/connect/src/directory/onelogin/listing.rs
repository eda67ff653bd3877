//! A whole list: numbered pages, several at once, and the proof that nobody is missing.
//!
//! OneLogin's cursors are page numbers (`limit=100&page=2`, encoded), so that following them page by page is no safer than asking
//! for pages by number: when an entry is deleted while the list is read, those after it move up, and whoever moves from a page that
//! is still to be read to one that was read already is in neither. So entries are counted: the first page says how many there were
//! when it was made. If that many are found who were there then, nobody is missing, whatever was created or deleted meanwhile.
//! If not, the list is read again.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::client::{Client, Page, Record};
use crate::directory::Progress;
use crate::{Error, Kind, Result};

/// How many pages are on their way at once; how many requests that may be, the client decides.
const AT_ONCE: usize = 64;

/// How often a list is read before we give up.
const READS: usize = 3;

/// Who was created at most this long ago may have been counted or not: the clock is told in whole seconds. After it, one knows.
const UNTIL_CERTAIN: Duration = Duration::from_secs(2);

/// One read of a list.
#[derive(Debug)]
struct Read<T> {
    /// By id; one that was met twice counts once.
    found: BTreeMap<u64, T>,
    /// How many requests it took.
    pages: usize,
    /// How many there were at the start.
    counted: usize,
    /// Those created later were not counted.
    began: Timestamp,
}

/// All entries of a list, by id.
pub(super) async fn all<T: Record>(client: &Client, progress: &Progress) -> Result<Vec<T>> {
    let name = T::LIST.name;
    let mut tries = Vec::new();
    while tries.len() < READS {
        if !tries.is_empty() {
            tokio::time::sleep(UNTIL_CERTAIN).await;
        }
        let read = read::<T>(client, progress).await?;
        if read.is_complete() {
            return Ok(read.found.into_values().collect());
        }
        let told = format!("{} of {}", read.were_there(), read.counted);
        tracing::debug!(name, told, "the list changed; reading it again");
        tries.push(told);
    }
    let reason = format!(
        "OneLogin counts more or fewer {name} than its pages have, in {READS} reads: {}",
        tries.join(", ")
    );
    Err(Error::new(Kind::Incomplete, format!("Reading {name} from {}", client.place()), reason).hint(
        "Nothing was imported. Perhaps many are being created or deleted at this moment: run it again later.",
    ))
}

async fn read<T: Record>(client: &Client, progress: &Progress) -> Result<Read<T>> {
    let first: Page<T> = client.page(1, progress).await?;
    let pages = first.pages.min(first.total);
    progress.expect_requests(pages.saturating_sub(1));
    let mut read = Read { found: BTreeMap::new(), pages: 1, counted: first.total, began: first.asked_at };
    let mut is_followed = first.is_followed;
    read.add(first.records);
    // One after the other is asked for as room comes, however many there are said to be.
    let asked = (2..=pages).map(|number| client.page(number, progress));
    let mut rest = stream::iter(asked).buffered(AT_ONCE);
    while let Some(page) = rest.try_next().await? {
        is_followed = page.is_followed;
        read.pages += 1;
        // A page without entries is behind the end, whatever the count of pages says.
        if page.records.is_empty() {
            break;
        }
        read.add(page.records);
    }
    drop(rest);
    // The list may have grown, or be longer than its count says.
    while is_followed {
        read.pages += 1;
        let page: Page<T> = client.page(read.pages, progress).await?;
        is_followed = read.add(page.records) > 0 && page.is_followed;
    }
    Ok(read)
}

impl<T: Record> Read<T> {
    /// How many of them are new.
    fn add(&mut self, records: Vec<T>) -> usize {
        let before = self.found.len();
        self.found.extend(records.into_iter().map(|record| (record.id(), record)));
        self.found.len() - before
    }

    /// How many of those found were there at the start.
    fn were_there(&self) -> usize {
        let is_new = |record: &&T| record.created_at().is_some_and(|at| at >= self.began);
        self.found.len() - self.found.values().filter(is_new).count()
    }

    /// A single page is as its count says. Between two, entries may come and go.
    fn is_complete(&self) -> bool {
        let counts = if self.pages == 1 { self.found.len() } else { self.were_there() };
        counts == self.counted
    }
}
