//! Company in no vendor's format, for rehearsals, the behaviour suite and measurements. Each vendor presents it in its own way.

/// Everybody, and their groups.
#[derive(Clone, Debug, Default)]
pub struct Company {
    /// People, including those who left.
    pub users: Vec<User>,
    /// Groups.
    pub groups: Vec<Group>,
}

/// Person.
#[derive(Clone, Debug)]
pub struct User {
    /// Number, unique among the users; vendors derive their id from it.
    pub name: String,
    /// Address; absent if the directory has none.
    pub email: Option<String>,
    /// State of the account.
    pub status: Status,
}

/// State of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// In use.
    Active,
    /// Disabled.
    Disabled,
    /// Deleted.
    Deleted,
}

/// Group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Number, unique among the groups; vendors derive their id from it.
    pub name: String,
    /// Names of people in it.
    pub users: Vec<String>,
    /// Names of groups in it, if the vendor has nested groups.
    pub groups: Vec<String>,
}

impl Company {
    /// Sample people to rehearse with.
    pub fn sample() -> Self {
        let person = |name: &str, status: Status| User {
            name: name.to_owned(),
            email: Some(format!("{name}@example.org")),
            status,
        };
        let active = ["ada", "ben", "cleo", "dan", "eve", "finn", "gina", "hugo", "iris", "jon"];
        let mut users: Vec<User> = active.iter().map(|name| person(name, Status::Active)).collect();
        users.push(person("kim", Status::Disabled));
        users.push(person("lea", Status::Deleted));
        let group = |name: &str, users: &[&str], groups: &[&str]| Group {
            name: name.to_owned(),
            users: users.iter().map(|&user| user.to_owned()).collect(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        };
        let groups = vec![
            group("Engineering", &["ada", "ben"], &["Platform", "Web"]),
            group("Platform", &["cleo", "dan"], &[]),
            group("Web", &["eve", "kim"], &[]),
            group("Sales", &["finn", "gina", "hugo"], &[]),
            group("Board", &[], &[]),
        ];
        Self { users, groups }
    }

    /// `users` people and `groups` groups of `members` each, for measurements.
    pub fn of_size(users: usize, groups: usize, members: usize) -> Self {
        let name = |number: usize| format!("user{number}");
        let people = (0..users).map(|number| User {
            name: name(number),
            email: Some(format!("user{number}@example.org")),
            status: Status::Active,
        });
        let groups = (0..groups).map(|number| Group {
            name: format!("group{number}"),
            // A stride that does not divide the usual sizes spreads the members.
            users: (0..members.min(users)).map(|member| name((number * 7 + member * 13) % users)).collect(),
            groups: Vec::new(),
        });
        Self { users: people.collect(), groups: groups.collect() }
    }
}
