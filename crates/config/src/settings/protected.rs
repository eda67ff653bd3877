//! The list of people whom no sync removes, as it is typed.

use bwdc_core::did_you_mean;

use super::is_attribute;

/// Checks that every entry of the list protects somebody.
pub(super) fn check(list: &str) -> Result<(), String> {
    list.split(',').map(str::trim).try_for_each(entry)
}

fn entry(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(
            "it has an empty entry; write one comma between two entries and none at the ends".to_owned()
        );
    }
    if is_part_of_dn(text) {
        return Err(format!(
            "`{text}` is part of a DN, and a DN has commas; write the person's address instead"
        ));
    }
    match text.split_once(':') {
        Some((kind, name)) if kind.eq_ignore_ascii_case("group") => match name.trim() {
            "" => Err("`group:` needs the name of a group".to_owned()),
            _ => Ok(()),
        },
        Some((kind, _)) if did_you_mean(kind.trim(), ["group"]).is_some() => {
            Err(format!("`{text}` is not an id; did you mean group:NAME?"))
        }
        _ => Ok(()),
    }
}

fn is_part_of_dn(text: &str) -> bool {
    let parts = text.split_once('=').filter(|_| !text.contains(['@', ':']));
    parts.is_some_and(|(name, value)| is_attribute(name.trim()) && !value.trim_matches('=').is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_refused_and_everything_else_is_taken() {
        for good in [
            "boss@example.org",
            "Boss@Example.org, 17,group:Break glass",
            "GROUP: Sales = EMEA",
            "9f2c-41aa, dGVzdA==",
            "a=b@example.org",
            "urn:uuid:17",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "an empty entry"),
            ("a@x.org,,b@x.org", "an empty entry"),
            ("a@x.org, ", "an empty entry"),
            ("group:", "needs the name"),
            ("a@x.org, Group: ", "needs the name"),
            ("group:,a@x.org", "needs the name"),
            ("groups:Admins", "did you mean group:NAME?"),
            ("group :Admins", "did you mean group:NAME?"),
            ("uid=boss,ou=people,dc=example,dc=org", "part of a DN"),
        ] {
            let told = check(bad).unwrap_err();
            assert!(told.contains(why), "{bad}: {told}");
        }
    }
}
