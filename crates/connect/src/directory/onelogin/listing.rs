//! Complete list, with proof that nobody is missing.
//!
//! Pages are requested by number, several at once. OneLogin's cursors are page numbers, too (`limit=100&page=2`, encoded), so
//! following them is no safer: if an entry is deleted while the list is read, those after it move up, and an entry that moves
//! from a page still to be read to one already read is in neither. So entries are counted: the first page reports how many
//! there were when it was made. If that many entries are found that existed then, nobody is missing, whatever was created or
//! deleted meanwhile. If not, the list is read again.
//!
//! If there is no count or it never matches, the list is read from cursor to cursor: to where OneLogin marks its end, until the
//! count matches, or until two reads in a row find the same entries, and no fewer than the count.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::client::{At, Client, List, Page};
use super::record::Record;
use crate::directory::Progress;
use crate::directory::lists::Listed;
use crate::{Error, ErrorKind, Result};

/// Number of pages requested at the same time; the client limits the requests.
const AT_ONCE: usize = 64;

/// Number of reads in each way before giving up.
const READS: usize = 3;

/// Age below which an entry may have been counted or not: the clock has whole seconds. Older entries were counted.
const UNTIL_CERTAIN: Duration = Duration::from_secs(2);

/// Way of going through a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Numbers,
    Cursors,
}

/// Single read of a list.
#[derive(Debug)]
struct Read<T> {
    way: Way,
    /// Entries by id; an entry found twice counts once.
    found: BTreeMap<u64, T>,
    /// Number of requests.
    pages: usize,
    /// Number of entries at the start, if it was given.
    counted: Option<usize>,
    /// Time of the count: entries created later were not counted.
    began: Timestamp,
    /// Whether the read reached a page without a successor.
    has_ended: bool,
}

/// Reads all entries of a list, by id.
pub(super) async fn all<T: Record>(client: &Client, list: &List, progress: &Progress) -> Result<Listed<T>> {
    let mut tries: Vec<String> = Vec::new();
    let mut wait = false;
    for way in [Way::Numbers, Way::Cursors] {
        let mut last: Option<Read<T>> = None;
        for _ in 0..READS {
            if wait {
                tokio::time::sleep(UNTIL_CERTAIN).await;
            }
            let read = match way {
                Way::Numbers => by_number(client, list, progress).await?,
                Way::Cursors => by_cursor(client, list, progress).await?,
            };
            let Some(read) = read else { return Ok(Listed::Gone) };
            let is_repeated = last.as_ref().is_some_and(|last| read.repeats(last));
            if read.adds_up() || is_repeated && read.is_proven_by_repetition() {
                return Ok(Listed::All(read.found.into_values().collect()));
            }
            tracing::debug!(
                list.what,
                counts = read.counts(),
                "the counts do not match; reading the list again"
            );
            tries.push(read.counts());
            wait = read.counted.is_some();
            // Another read in this way would have the same result.
            if is_repeated || way == Way::Numbers && read.counted.is_none() {
                break;
            }
            last = Some(read);
        }
    }
    let reason = format!(
        "OneLogin's count and the entries on its pages do not match, in {} reads: {}",
        tries.len(),
        tries.join(", ")
    );
    let hint = if wait {
        "Nothing was imported. Perhaps many are being created or deleted at this moment: try again later."
    } else {
        "Nothing was imported. A proxy may be removing the headers Total-Count and After-Cursor."
    };
    let attempted = format!("Reading {} from {}", list.what, client.place());
    Err(Error::new(ErrorKind::Incomplete, attempted, reason).hint(hint))
}

/// Reads pages by number, several at once. If the first one has no count, only it is read.
async fn by_number<T: Record>(client: &Client, list: &List, progress: &Progress) -> Result<Option<Read<T>>> {
    let Some(first) = client.page::<T>(list, At::Number(1), progress).await? else { return Ok(None) };
    let mut is_followed = first.cursor.is_some();
    let pages = first.pages.unwrap_or(1).min(first.total.unwrap_or(1));
    let mut read = Read::begun(Way::Numbers, first);
    if read.counted.is_none() {
        return Ok(Some(read));
    }
    progress.expect_requests(pages.saturating_sub(1));
    // One page after the other is requested as slots become free, however many there are said to be.
    let asked = (2..=pages).map(|number| client.page::<T>(list, At::Number(number), progress));
    let mut rest = stream::iter(asked).buffered(AT_ONCE);
    while let Some(page) = rest.try_next().await? {
        let Some(page) = page else { return Ok(None) };
        is_followed = page.cursor.is_some();
        read.pages += 1;
        // A page without entries is behind the end, whatever the page count.
        if page.records.is_empty() {
            break;
        }
        read.add(page.records);
    }
    drop(rest);
    // The list may have grown, or be longer than its count.
    while is_followed {
        read.pages += 1;
        let Some(page) = client.page::<T>(list, At::Number(read.pages), progress).await? else {
            return Ok(None);
        };
        is_followed = read.add(page.records) > 0 && page.cursor.is_some();
    }
    Ok(Some(read))
}

/// Reads page after page, each at the cursor of the one before it. If the first has no cursor, pages are numbered, and the one
/// after the last is empty.
async fn by_cursor<T: Record>(client: &Client, list: &List, progress: &Progress) -> Result<Option<Read<T>>> {
    let Some(mut first) = client.page::<T>(list, At::Number(1), progress).await? else { return Ok(None) };
    let mut next = first.cursor.take();
    let mut read = Read::begun(Way::Cursors, first);
    if read.counted.is_none() && next.is_none() {
        read.has_ended = false;
        while !read.has_ended {
            read.pages += 1;
            let at = At::Number(read.pages);
            let Some(page) = client.page::<T>(list, at, progress).await? else { return Ok(None) };
            read.has_ended = page.records.is_empty();
            if read.add(page.records) == 0 {
                break;
            }
        }
        return Ok(Some(read));
    }
    let mut seen = HashSet::new();
    while let Some(cursor) = next.take() {
        let Some(page) = client.page::<T>(list, At::Cursor(&cursor), progress).await? else {
            return Ok(None);
        };
        read.pages += 1;
        seen.insert(cursor);
        let is_new = read.add(page.records) > 0;
        next = page.cursor;
        // It leads nowhere new: it would never end, or has not ended here.
        if next.as_ref().is_some_and(|next| !is_new || seen.contains(next)) {
            read.has_ended = false;
            break;
        }
    }
    Ok(Some(read))
}

impl<T: Record> Read<T> {
    fn begun(way: Way, first: Page<T>) -> Self {
        let Page { records, total, asked_at, .. } = first;
        let found = BTreeMap::new();
        let mut read = Self { way, found, pages: 1, counted: total, began: asked_at, has_ended: true };
        read.add(records);
        read
    }

    /// Number of new entries among these.
    fn add(&mut self, records: Vec<T>) -> usize {
        let before = self.found.len();
        self.found.extend(records.into_iter().map(|record| (record.id(), record)));
        self.found.len() - before
    }

    /// Number of entries found that existed at the start.
    fn were_there(&self) -> usize {
        let is_new = |record: &&T| record.since().is_some_and(|at| at >= self.began);
        self.found.len() - self.found.values().filter(is_new).count()
    }

    /// Whether the count matches. A single page always does. Between two, entries may come and go.
    fn adds_up(&self) -> bool {
        let found = if self.pages == 1 { self.found.len() } else { self.were_there() };
        self.counted == Some(found)
    }

    /// Whether the read before it found the same entries, and both came to an end.
    fn repeats(&self, last: &Self) -> bool {
        let has_same = self.found.keys().eq(last.found.keys());
        has_same && self.has_ended && last.has_ended && self.counted == last.counted
    }

    /// Whether an identical read before it proves this one complete: it followed OneLogin's cursors, and no count is larger.
    fn is_proven_by_repetition(&self) -> bool {
        self.way == Way::Cursors && self.counted.is_none_or(|counted| counted <= self.found.len())
    }

    fn counts(&self) -> String {
        let found = match self.counted {
            Some(counted) => format!("{} of {counted}", self.were_there()),
            None => format!("{} and no count", self.found.len()),
        };
        let way = if self.way == Way::Cursors { " by cursor" } else { "" };
        let end = if self.has_ended { "" } else { " without an end" };
        format!("{found}{way}{end}")
    }
}
