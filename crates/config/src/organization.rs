//! What a sync changes in the organization, as it is set.

use bwdc_core::error::Result;
use bwdc_core::organization::settings::{Absent, Limit, OnLimit, Protect, Relink, VanishedGroups};
use bwdc_core::organization::{Settings, Span};
use bwdc_core::rules::Rules;

use crate::setting::{self, Setting};
use crate::settings::sync;
use crate::values::StoredValues;

/// Settings about the organization, with these rules of the instance.
pub(crate) fn organization_settings(values: &StoredValues<'_>, rules: &Rules) -> Result<Settings> {
    let defaults = Settings::default();
    Ok(Settings {
        absent: absent(values)?,
        disabled: rules.disabled,
        existing: rules.existing,
        size: rules.size,
        newcomers: rules.newcomers,
        relink: if values.is_choice(&sync::RELINK, "address")? { Relink::Address } else { Relink::Off },
        grace: span(values, &sync::GRACE)?.unwrap_or(Span::NONE),
        vanished_groups: match values.in_effect(&sync::VANISHED_GROUPS)?.as_str() {
            "empty" => VanishedGroups::Empty,
            "delete" => VanishedGroups::Delete,
            _ => VanishedGroups::Keep,
        },
        reinvite: span(values, &sync::REINVITE)?,
        protect: Protect::parse(&values.in_effect(&sync::PROTECT)?),
        limit_removals: limit(values, &sync::LIMIT_REMOVALS)?.unwrap_or(defaults.limit_removals),
        limit_leaves: limit(values, &sync::LIMIT_LEAVES)?.unwrap_or(defaults.limit_leaves),
        limit_repairs: limit(values, &sync::LIMIT_REPAIRS)?.unwrap_or(defaults.limit_repairs),
        limit_invites: limit(values, &sync::LIMIT_INVITES)?.unwrap_or(defaults.limit_invites),
        on_limit: if values.is_choice(&sync::ON_LIMIT, "stop")? { OnLimit::Stop } else { OnLimit::Hold },
        allow_removals: None,
        verify_every: span(values, &sync::VERIFY_EVERY)?,
        earlier: defaults.earlier,
    })
}

/// Longest time between complete reads.
pub(crate) fn full_every(values: &StoredValues<'_>) -> Result<Span> {
    Ok(span(values, &sync::FULL_EVERY)?.unwrap_or(Span::DAY))
}

/// Only people who are synced can leave.
pub(crate) fn absent(values: &StoredValues<'_>) -> Result<Absent> {
    let absent = match values.in_effect(&sync::REMOVE_MISSING)?.as_str() {
        "true" => Absent::Missing,
        "outOfScope" => Absent::OutOfScope,
        _ => Absent::Keep,
    };
    if absent == Absent::Keep || !values.flag(&sync::USERS)? {
        return Ok(Absent::Keep);
    }
    Ok(absent)
}

/// The length of time, if there is one; none for the word beside it.
fn span(values: &StoredValues<'_>, setting: &Setting) -> Result<Option<Span>> {
    Ok(setting::length(&values.in_effect(setting)?).map(|length| Span(length.as_secs())))
}

fn limit(values: &StoredValues<'_>, setting: &Setting) -> Result<Option<Limit>> {
    Ok(Limit::parse(&values.in_effect(setting)?))
}

#[cfg(test)]
mod tests {
    use bwdc_core::rules::{DisabledUsers, ExistingMembers, ImportSize, Newcomers};
    use bwdc_store::Data;
    use serde_json::{Value, json};

    use super::*;
    use crate::Instance;
    use crate::settings::find;

    /// People and groups of a file, and these settings as they are in `data.json`.
    fn stored(settings: &[(&str, Value)]) -> Data {
        let mut data = Data::default();
        for (name, value) in
            [("directory", "file".into()), ("sync.users", true.into())].iter().chain(settings)
        {
            find(name).unwrap().put(&mut data, value.clone());
        }
        data
    }

    #[test]
    fn the_defaults_are_those_of_the_organization() {
        assert_eq!(Instance::organization_settings(&stored(&[])).unwrap(), Settings::default());
        assert_eq!(full_every(&StoredValues(&stored(&[]))).unwrap(), Span::DAY);
    }

    #[test]
    fn every_setting_is_read() {
        type Change = fn(&mut Settings);
        let cases: Vec<(&str, Value, Change)> = vec![
            ("removeMissing", false.into(), |_| {}),
            ("removeMissing", true.into(), |it| it.absent = Absent::Missing),
            ("removeMissing", "true".into(), |it| it.absent = Absent::Missing),
            ("removeMissing", "outOfScope".into(), |it| it.absent = Absent::OutOfScope),
            ("removeDisabled", true.into(), |it| it.disabled = DisabledUsers::Remove),
            ("overwriteExisting", true.into(), |it| it.existing = ExistingMembers::Overwrite),
            ("largeImport", true.into(), |it| it.size = ImportSize::Batches),
            ("inviteUsersAfterProvisioning", true.into(), |it| it.newcomers = Newcomers::Invite),
            ("limitRemovals", "off".into(), |it| it.limit_removals = Limit::Off),
            ("limitRemovals", 0.into(), |it| it.limit_removals = Limit::Number(0)),
            ("limitLeaves", "30 %".into(), |it| it.limit_leaves = Limit::Percent(30)),
            ("limitRepairs", "40".into(), |it| it.limit_repairs = Limit::Number(40)),
            ("limitInvites", "50%".into(), |it| it.limit_invites = Limit::Percent(50)),
            ("onLimit", "hold".into(), |_| {}),
            ("onLimit", "stop".into(), |it| it.on_limit = OnLimit::Stop),
            ("grace", "0".into(), |_| {}),
            ("grace", 0.into(), |_| {}),
            ("grace", "2w".into(), |it| it.grace = Span::days(14)),
            ("protect", "Boss@x.org, group:Admins".into(), |it| {
                it.protect = Protect::parse("boss@x.org,group:admins");
            }),
            ("protect", 17.into(), |it| it.protect = Protect::parse("17")),
            ("vanishedGroups", "keep".into(), |_| {}),
            ("vanishedGroups", "empty".into(), |it| it.vanished_groups = VanishedGroups::Empty),
            ("vanishedGroups", "delete".into(), |it| it.vanished_groups = VanishedGroups::Delete),
            ("reinvite", "off".into(), |_| {}),
            ("reinvite", "10d".into(), |it| it.reinvite = Some(Span::days(10))),
            ("relink", "off".into(), |_| {}),
            ("relink", "address".into(), |it| it.relink = Relink::Address),
            ("verifyEvery", "off".into(), |it| it.verify_every = None),
            ("verifyEvery", "1h".into(), |it| it.verify_every = Some(Span(3600))),
        ];
        for (key, value, change) in cases {
            let mut expected = Settings::default();
            change(&mut expected);
            let data = stored(&[(&format!("sync.{key}"), value.clone())]);
            assert_eq!(Instance::organization_settings(&data).unwrap(), expected, "{key} {value}");
            assert_eq!(data.section("sync").value(key), Some(&value), "{key}");
        }
        let data = stored(&[("sync.fullEvery", "2d".into())]);
        assert_eq!(full_every(&StoredValues(&data)).unwrap(), Span::days(2));
    }

    /// A sync says the same as `bwdc doctor`.
    #[test]
    fn bad_values_are_refused_with_setting_value_file_and_what_is_allowed() {
        for (key, bad, allowed) in [
            ("removeMissing", json!("maybe"), "one of: false, true, outOfScope"),
            ("limitRemovals", json!("many"), "off, a whole number such as 20, or a percentage such as 10%"),
            ("limitRemovals", json!(-1), "off, a whole number"),
            ("limitLeaves", json!("101%"), "off, a whole number"),
            ("limitRepairs", json!("2.5%"), "off, a whole number"),
            ("limitInvites", json!(true), "off, a whole number"),
            ("limitInvites", json!(["5"]), "off, a whole number"),
            ("onLimit", json!("wait"), "one of: hold, stop"),
            ("grace", json!("14"), "0, or a duration such as 12h, 14d or 2w, at most a year"),
            ("grace", json!("53w"), "at most a year"),
            ("grace", json!("-1d"), "at most a year"),
            ("protect", json!("boss@x.org,,17"), "e-mail addresses, external ids and group:NAME"),
            ("protect", json!("group:"), "separated by commas"),
            ("protect", json!(["boss@x.org"]), "separated by commas"),
            ("protect", json!(true), "separated by commas"),
            ("vanishedGroups", json!("remove"), "one of: keep, empty, delete"),
            ("reinvite", json!("23h"), "off, or a duration such as 10d or 2w, at least 1d"),
            ("relink", json!(true), "one of: off, address"),
            ("verifyEvery", json!("daily"), "off, or a duration"),
            ("fullEvery", json!("off"), "a duration such as 20s, 5m, 1h or 2d, at most a year"),
        ] {
            let name = format!("sync.{key}");
            let data = stored(&[(&name, bad.clone())]);
            let error = Instance::organization_settings(&data)
                .and_then(|_| full_every(&StoredValues(&data)))
                .expect_err(&format!("{key} {bad}"));
            let told = error.to_string();
            for part in [&name, &setting::text(&bad), "in data.json", "Allowed: ", allowed] {
                assert!(told.contains(part), "{part}: {told}");
            }
            assert_eq!(find(&name).unwrap().fault(&data).unwrap().to_string(), told);
        }
    }

    #[test]
    fn nobody_is_missing_where_people_are_not_synced() {
        let data = stored(&[("sync.users", false.into()), ("sync.removeMissing", "outOfScope".into())]);
        assert_eq!(Instance::organization_settings(&data).unwrap().absent, Absent::Keep);
    }
}
