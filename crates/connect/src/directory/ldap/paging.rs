//! Detection of paging that makes no progress. Judged by the entries: the cookie is opaque (RFC 2696), and 389 Directory
//! Server sends the same one with every page.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;

/// Page sizes, the largest first: each page costs a round trip, and a server may refuse a large one or truncate it (Active
/// Directory's `MaxPageSize`, OpenLDAP's `size.pr`, 389 Directory Server's `nsslapd-sizelimit`).
pub(super) const SIZES: [u32; 5] = [20_000, 5_000, 1_000, 250, 50];

/// Largest number of entries; no directory has more.
#[derive(Clone, Copy, Debug)]
struct Most(usize);

impl Default for Most {
    fn default() -> Self {
        Self(20_000_000)
    }
}

/// Longer names have no entries that somebody means: Active Directory's have at most some thousand octets.
const LONGEST_NAME: usize = 16 * 1024;

/// Length of a name in messages; its beginning is enough to find it.
const SHOWN_OF_NAME: usize = 200;

/// Largest number of pages without entries. Some servers send such pages while they search on; none sends this many.
const MOST_EMPTY: u32 = 1_000;

/// Entries that a search has returned, by two hashes of their names: no name is kept, and no two names share both.
#[derive(Debug, Default)]
pub(super) struct Tally {
    hashers: [RandomState; 2],
    /// Hashes, each with the attempt that last returned the entry.
    seen: foldhash::HashMap<[u64; 2], u32>,
    attempt: u32,
    empty: u32,
    page: PageTally,
    most: Most,
}

/// Hashes of the current page.
#[derive(Clone, Copy, Debug, Default)]
struct PageTally {
    entries: usize,
    of_this_attempt: usize,
}

/// Whether an entry was passed on before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    First,
    Again,
}

impl Tally {
    /// Restarts the search with smaller pages: entries already passed on are not passed on again.
    pub(super) fn start_over(&mut self) {
        self.attempt += 1;
        self.empty = 0;
        self.page = PageTally::default();
    }

    /// Why no more entries are taken, if there is a reason.
    pub(super) fn see(&mut self, name: &[u8]) -> Result<Sight, String> {
        if name.len() > LONGEST_NAME {
            let beginning = String::from_utf8_lossy(&name[..SHOWN_OF_NAME]);
            let length = name.len();
            return Err(format!(
                "the entry {beginning}... has a name of {length} bytes; at most {LONGEST_NAME} are read"
            ));
        }
        if self.seen.len() >= self.most.0 {
            return Err(format!("the server has sent more than {} entries", self.most.0));
        }
        Ok(self.count(name))
    }

    fn count(&mut self, name: &[u8]) -> Sight {
        let [one, other] = &self.hashers;
        let before = self.seen.insert([one.hash_one(name), other.hash_one(name)], self.attempt);
        self.page.entries += 1;
        self.page.of_this_attempt += usize::from(before != Some(self.attempt));
        if before.is_none() { Sight::First } else { Sight::Again }
    }

    /// Number of this attempt, for [`Self::missing_since`].
    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Number of entries returned by this attempt or an earlier one, but not later.
    pub(super) fn missing_since(&self, attempt: u32) -> usize {
        self.seen.values().filter(|last| **last <= attempt).count()
    }

    /// Reason not to request another page, if there is one.
    pub(super) fn end_page(&mut self) -> Result<(), String> {
        let PageTally { entries, of_this_attempt } = std::mem::take(&mut self.page);
        self.empty = if entries == 0 { self.empty + 1 } else { 0 };
        if entries > 0 && of_this_attempt == 0 {
            return Err(
                "the server repeats the same page over and over: all of its entries had been sent before"
                    .to_owned(),
            );
        }
        if self.empty > MOST_EMPTY {
            return Err(format!(
                "the server has sent {MOST_EMPTY} pages without an entry, and reports that there are more"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(tally: &mut Tally, name: &[u8]) -> Sight {
        tally.see(name).unwrap()
    }

    /// One that is too many is not waited for until the page's end.
    #[test]
    fn entries_are_counted_as_they_come_and_names_have_an_end() {
        let mut tally = Tally { most: Most(2), ..Tally::default() };
        let _ = (see(&mut tally, b"cn=a"), see(&mut tally, b"cn=b"));
        assert!(tally.see(b"cn=c").unwrap_err().contains("more than 2 entries"));
        let mut tally = Tally::default();
        assert_eq!(see(&mut tally, &[b'x'; LONGEST_NAME]), Sight::First);
        let told = tally.see(&vec![b'x'; 900_000]).unwrap_err();
        assert!(told.contains("a name of 900000 bytes") && told.len() < 400, "{told}");
    }

    #[test]
    fn a_page_of_known_entries_is_a_loop() {
        let mut tally = Tally::default();
        assert_eq!((see(&mut tally, b"cn=a"), see(&mut tally, b"cn=b")), (Sight::First, Sight::First));
        assert_eq!(tally.end_page(), Ok(()));
        assert_eq!((see(&mut tally, b"cn=b"), see(&mut tally, b"cn=c")), (Sight::Again, Sight::First));
        assert_eq!(tally.end_page(), Ok(()));
        assert_eq!((see(&mut tally, b"cn=a"), see(&mut tally, b"cn=b")), (Sight::Again, Sight::Again));
        assert!(tally.end_page().unwrap_err().contains("repeats"));
    }

    #[test]
    fn with_smaller_pages_the_same_entries_are_progress() {
        let mut tally = Tally::default();
        let _ = see(&mut tally, b"cn=a");
        tally.start_over();
        assert_eq!(see(&mut tally, b"cn=a"), Sight::Again);
        assert_eq!(tally.end_page(), Ok(()));
        assert_eq!(see(&mut tally, b"cn=a"), Sight::Again);
        assert!(tally.end_page().is_err());
    }

    #[test]
    fn pages_without_entries_are_limited() {
        let mut tally = Tally::default();
        let ended = (0..=MOST_EMPTY).map(|_| tally.end_page()).find_map(Result::err);
        assert!(ended.unwrap().contains("without an entry"));
    }
}
