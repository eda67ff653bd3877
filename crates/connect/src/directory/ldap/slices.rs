//! Search in parts, for servers that examine only so many entries for one search, however small the pages: 389 Directory
//! Server's `nsslapd-lookthroughlimit` is 5,000 for everybody but its manager. Each part is a range of the server's own id,
//! which is indexed there, so the server examines that part alone.
//!
//! Adjacent ranges share their ends, and the first and the last are open. So no id is outside of them, whatever ids look like.

use super::config::and;
use super::request::SearchRequest;

/// Id on every entry of 389 Directory Server: four times eight hexadecimal digits, as in `c1fcb120-eaad11f1-b7d3ea2b-8ea2865c`.
const ID: &str = "nsUniqueId";
const DIGITS: &str = "0123456789abcdef";
/// Length of prefix beyond which ranges are not divided: longer than any id.
const LONGEST: usize = 35;

/// Range of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    /// Prefix of all well-formed ids between the ends.
    beginning: String,
    from: Option<String>,
    to: Option<String>,
}

/// Search for entries that have an id: if there are none, ranges are of no use.
pub(super) fn with_id(request: &SearchRequest) -> SearchRequest {
    SearchRequest {
        filter: and(&request.filter, &format!("({ID}=*)")),
        attributes: super::nothing(),
        ..request.clone()
    }
}

impl Slice {
    /// Divides the range into sixteen parts, in descending order; `None` if it cannot be divided.
    pub(super) fn parts(&self) -> Option<Vec<Self>> {
        if self.beginning.len() >= LONGEST {
            return None;
        }
        // A hyphen separates the groups of eight digits.
        let hyphen = if self.beginning.len() % 9 == 8 { "-" } else { "" };
        let beginnings: Vec<String> =
            DIGITS.chars().map(|digit| format!("{}{hyphen}{digit}", self.beginning)).collect();
        let parts = beginnings.iter().enumerate().map(|(at, beginning)| Self {
            beginning: beginning.clone(),
            from: if at == 0 { self.from.clone() } else { Some(beginning.clone()) },
            to: beginnings.get(at + 1).cloned().or_else(|| self.to.clone()),
        });
        Some(parts.rev().collect())
    }

    /// Search for the entries in this range.
    pub(super) fn of(&self, request: &SearchRequest) -> SearchRequest {
        let from = self.from.as_ref().map(|id| format!("({ID}>={id})"));
        let to = self.to.as_ref().map(|id| format!("({ID}<={id})"));
        let conditions: String = from.into_iter().chain(to).collect();
        SearchRequest { filter: and(&request.filter, &conditions), ..request.clone() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(slice: &Slice, id: &str) -> bool {
        slice.from.as_deref().is_none_or(|from| id >= from) && slice.to.as_deref().is_none_or(|to| id <= to)
    }

    #[test]
    fn parts_are_ranges_of_beginnings() {
        let request = SearchRequest {
            what: "users",
            base: "dc=x".into(),
            scope: super::super::Depth::Subtree,
            filter: "(cn=a)".into(),
            attributes: Vec::new(),
            controls: Vec::new(),
        };
        let filters = |slice: &Slice| -> Vec<String> {
            slice.parts().unwrap().iter().rev().map(|part| part.of(&request).filter).collect()
        };
        let whole = filters(&Slice::default());
        assert_eq!(whole[0], "(&(cn=a)(nsUniqueId<=1))");
        assert_eq!(whole[1], "(&(cn=a)(nsUniqueId>=1)(nsUniqueId<=2))");
        assert_eq!(whole[15], "(&(cn=a)(nsUniqueId>=f))");
        let deep =
            Slice { beginning: "c1fcb12f".into(), from: Some("c1fcb12f".into()), to: Some("c1fcb13".into()) };
        let deep = filters(&deep);
        assert_eq!(deep[0], "(&(cn=a)(nsUniqueId>=c1fcb12f)(nsUniqueId<=c1fcb12f-1))");
        assert_eq!(deep[15], "(&(cn=a)(nsUniqueId>=c1fcb12f-f)(nsUniqueId<=c1fcb13))");
    }

    proptest! {
        /// Whatever is divided, and whatever an id looks like, the id is in one of the parts.
        #[test]
        fn nothing_is_outside(
            cuts in prop::collection::vec(0_usize..1000, 0..12),
            id in "([0-9a-f]{0,8}-?[0-9a-f]{0,8}|.{0,12})",
        ) {
            let mut slices = vec![Slice::default()];
            for cut in cuts {
                let slice = slices.swap_remove(cut % slices.len());
                slices.extend(slice.parts().unwrap_or_else(|| vec![slice]));
            }
            prop_assert!(slices.iter().any(|slice| holds(slice, &id)), "{id}");
        }

        #[test]
        fn dividing_comes_to_an_end(digits in prop::collection::vec(0_usize..16, 40)) {
            let mut slice = Slice::default();
            let cuts = digits.iter().take_while(|digit| match slice.parts() {
                Some(mut parts) => { slice = parts.swap_remove(**digit); true }
                None => false,
            });
            prop_assert!(cuts.count() <= LONGEST);
        }
    }
}
