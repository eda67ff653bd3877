//! Synthetic directories as LDIF.

use std::collections::BTreeSet;
use std::io::{self, Write};

/// Suffix of all entries.
pub const SUFFIX: &str = "dc=example,dc=org";

/// Groups of one tree, and of the hundred groups that it is among.
const TREE: usize = 20;
const HUNDRED: usize = 100;

/// Writes people under `ou=people` (`inetOrgPerson`) and groups under `ou=groups` (`groupOfNames`). Every tenth group contains the
/// one before it, and groups 0 to 9 form a cycle, so that flattening has work to do. The same numbers give the same
/// directory.
pub fn directory(out: &mut impl Write, users: usize, groups: usize, members: usize) -> io::Result<()> {
    with_groups(out, users, groups, members, |group| {
        if group < 10 && groups >= 10 {
            vec![(group + 1) % 10]
        } else if group % 10 == 0 {
            vec![group.saturating_sub(1)]
        } else {
            Vec::new()
        }
    })
}

/// The same people and groups, but the first twenty of each hundred groups form a tree ten deep: two on each level, of which one
/// contains both of the level below.
pub fn nested(out: &mut impl Write, users: usize, groups: usize, members: usize) -> io::Result<()> {
    with_groups(out, users, groups, members, |group| {
        let is_inner = group % HUNDRED < TREE - 2 && group % 2 == 0;
        if is_inner { (group + 2..=group + 3).filter(|below| *below < groups).collect() } else { Vec::new() }
    })
}

/// Writes people and groups, of which each contains others by these numbers.
fn with_groups(
    out: &mut impl Write,
    users: usize,
    groups: usize,
    members: usize,
    inner: impl Fn(usize) -> Vec<usize>,
) -> io::Result<()> {
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
        for below in inner(group) {
            writeln!(out, "member: cn=group{below},ou=groups,{SUFFIX}")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_ten_deep() {
        let mut out = Vec::new();
        nested(&mut out, 1, 120, 1).unwrap();
        let text = String::from_utf8(out).unwrap();
        let groups: Vec<Vec<usize>> = text.split("dn: cn=group").skip(1).map(below).collect();
        assert_eq!(depth(&groups, 0), 10);
        assert_eq!(depth(&groups, 100), 10);
        assert_eq!(groups.iter().flatten().count(), 2 * 9 * 2);
        assert_eq!(depth(&groups, 50), 1);
    }

    fn below(group: &str) -> Vec<usize> {
        let members = group.lines().filter_map(|line| line.strip_prefix("member: cn=group"));
        members.map(|member| member.split(',').next().unwrap().parse().unwrap()).collect()
    }

    fn depth(groups: &[Vec<usize>], group: usize) -> usize {
        1 + groups[group].iter().map(|below| depth(groups, *below)).max().unwrap_or(0)
    }
}
