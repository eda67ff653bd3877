//! Synthetic directories as LDIF.

use std::collections::BTreeSet;
use std::io::{self, Write};

/// Suffix of all entries.
pub const SUFFIX: &str = "dc=example,dc=org";

/// Writes people under `ou=people` (`inetOrgPerson`) and groups under `ou=groups` (`groupOfNames`). Every tenth group contains the
/// one before it, and groups 0 to 9 form a cycle, so that flattening has work to do. The same numbers give the same
/// directory.
pub fn directory(out: &mut impl Write, users: usize, groups: usize, members: usize) -> io::Result<()> {
    head(out)?;
    for user in 0..users {
        person(out, user)?;
    }
    let mut random = fastrand::Rng::with_seed(7);
    for group in 0..groups {
        writeln!(out, "dn: cn=group{group},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: group{group}")?;
        let mut chosen = BTreeSet::new();
        while chosen.len() < members.min(users) {
            chosen.insert(random.usize(..users));
        }
        for user in chosen {
            writeln!(out, "member: uid=user{user},ou=people,{SUFFIX}")?;
        }
        if group < 10 && groups >= 10 {
            writeln!(out, "member: cn=group{},ou=groups,{SUFFIX}", (group + 1) % 10)?;
        } else if group % 10 == 0 {
            writeln!(out, "member: cn=group{},ou=groups,{SUFFIX}", group.saturating_sub(1))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Writes the suffix and the two organizational units.
pub fn head(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n"
    )?;
    for unit in ["people", "groups"] {
        writeln!(out, "dn: ou={unit},{SUFFIX}\nobjectClass: organizationalUnit\nou: {unit}\n")?;
    }
    Ok(())
}

fn person(out: &mut impl Write, number: usize) -> io::Result<()> {
    writeln!(
        out,
        "dn: uid=user{number},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: user{number}\ncn: User {number}\n\
         sn: Number {number}\ngivenName: User\ndisplayName: User Number {number}\ntitle: Engineer\n\
         mail: user{number}@example.org\ntelephoneNumber: +1 555 {number:07}\n\
         description: a synthetic person used to measure directory reads, number {number}\n"
    )
}

/// Small directory as text.
pub fn small(users: usize, groups: usize, members: usize) -> String {
    let mut out = Vec::new();
    directory(&mut out, users, groups, members).expect("writing to memory");
    String::from_utf8(out).expect("LDIF is text")
}
