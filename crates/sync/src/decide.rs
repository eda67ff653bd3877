//! From what was read of the directories to what changes in the organization: the same for `sync`, `plan`, `apply` and `test`.

use bwdc_connect::directory::Directory as _;
use bwdc_core::error::Result;
use bwdc_core::known::KnownPeople;
use bwdc_core::organization::changes::Changes;
use bwdc_core::organization::directory::{DirectoryNow, Place};
use bwdc_core::organization::ledger::{LastImport, Legacy, LegacyDirectory};
use bwdc_core::organization::pending::Pending;
use bwdc_core::organization::roster::{Basis, Group, GroupId, Kind, Roster};
use bwdc_core::organization::{Ledger, Moment, Question, Settings, changes};
use bwdc_core::plan::{Digest, Server, Target};
use bwdc_core::rules::Newcomers;
use bwdc_store::Memory as _;
use jiff::Timestamp;

use crate::open::Opened;
use crate::organization::{Found, OpenOrganization};
use crate::read::{DecidedRead, SourceRead};
use crate::stateless;

/// Everything that decides a run.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) directory: DirectoryNow,
    pub(crate) roster: Roster,
    /// After [`Ledger::settled`].
    pub(crate) ledger: Ledger,
    pub(crate) settings: Settings,
    pub(crate) now: Moment,
}

impl Known {
    pub(crate) fn question(&self) -> Question<'_> {
        let Self { directory, roster, ledger, settings, now } = self;
        Question { directory, roster, ledger, settings, now: *now }
    }
}

/// What follows from it.
#[derive(Clone)]
pub(crate) struct Decision {
    pub(crate) known: Known,
    pub(crate) changes: Changes,
}

impl Decision {
    /// What waits for an administrator.
    pub(crate) fn pending(&self) -> Pending {
        Pending::of(&self.known.question(), &self.changes, written)
    }
}

/// A time as RFC 3339, in UTC.
pub(crate) fn written(time: Moment) -> String {
    Timestamp::from_second(time.0).map(|time| time.to_string()).unwrap_or_default()
}

/// How much of the organization is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// What a sync needs: of groups in turn.
    Due,
    /// Everything, with the seats: for those who want to know.
    Everything,
    /// Nothing: what it holds is taken from the imports before.
    Remembered,
}

/// What a decision is made of, beside the organization.
pub(crate) struct Matter<'a> {
    pub(crate) opened: &'a [Opened<'a>],
    pub(crate) reading: &'a DecidedRead,
    pub(crate) settings: Settings,
    pub(crate) organization_id: &'a str,
    pub(crate) started: Timestamp,
}

/// What was read at the same time.
pub(crate) struct Read {
    /// The ledger. `None` where there was none yet.
    pub(crate) stored: Option<Ledger>,
    pub(crate) directory: DirectoryNow,
    /// The organization without memberships; unreadable for [`Look::Remembered`].
    pub(crate) found: Found,
}

/// Reads what else must be known of the organization, and decides.
pub(crate) async fn decide(
    matter: &Matter<'_>,
    read: Read,
    organization: &mut OpenOrganization<'_>,
    look: Look,
) -> Result<Decision> {
    let now = moment(matter.started);
    let Read { stored, directory, found } = read;
    let live = match &found {
        Found::Live(roster) => Some(roster),
        Found::Unreadable(_) => None,
    };
    if let (None, Some(first)) = (live, matter.opened.first()) {
        stateless::unreadable(&first.context.file)?;
    }
    let is_first = stored.is_none();
    let ledger = match stored {
        Some(ledger) => ledger.settled(live, now),
        None => migrated(matter, live, now)?,
    };
    let ledger = ledger.about(&organization.api_url, live);
    let roster = match found {
        Found::Live(roster) => ledger.sharing(roster),
        Found::Unreadable(kind) => ledger.roster(kind),
    };
    let directory = directory_now(matter, directory, &ledger);
    let settings = matter.settings.clone();
    let known = Known { directory, roster, ledger, settings, now };
    match known.roster.basis {
        Basis::Live => read_more(known, organization, look).await,
        Basis::Ledger => {
            let known = if is_first { taken_over(matter, known, &organization.api_url)? } else { known };
            Ok(Decision { changes: changes(&known.question()), known })
        }
    }
}

/// Where an import goes, to a server with these rules.
pub(crate) fn target(api_url: String, organization_id: String, kind: Kind) -> Target {
    let server = match kind {
        Kind::Official => Server::Official,
        Kind::Vaultwarden => Server::Vaultwarden,
    };
    Target { api_url, organization_id, server }
}

/// The time of a run, for [`bwdc_core::organization`].
pub(crate) fn moment(time: Timestamp) -> Moment {
    Moment(time.as_second())
}

/// The first ledger, made of what releases without one have left.
fn migrated(matter: &Matter<'_>, live: Option<&Roster>, now: Moment) -> Result<Ledger> {
    let Matter { opened, reading, organization_id, .. } = matter;
    let is_same =
        |opened: &Opened<'_>| opened.remembered.organization_id.as_deref() == Some(*organization_id);
    let mut directories = Vec::new();
    for opened in opened.iter() {
        // What was synced into another organization says nothing about this one.
        directories.push(if is_same(opened) {
            opened.context.file.known_people()?
        } else {
            KnownPeople::default()
        });
    }
    let of_place = |(known, source): (&'_ KnownPeople, &'_ SourceRead)| {
        let is_read = known.population().is_some() && known.population() == source.population.as_deref();
        source.place.clone().filter(|_| is_read)
    };
    let places: Vec<Option<Place>> = directories.iter().zip(&reading.sources).map(of_place).collect();
    let has_synced = opened.iter().any(|opened| is_same(opened) && opened.remembered.has_synced());
    // What can be read is compared, however often everything was sent before.
    let is_forgotten = opened.iter().any(|opened| !opened.context.file.has_state());
    let legacy = Legacy {
        directories: directories
            .iter()
            .zip(&places)
            .map(|(known, place)| LegacyDirectory { known, place: place.as_ref() })
            .collect(),
        roster: live,
        last: if has_synced || is_forgotten { LastImport::Other } else { LastImport::None },
        now,
    };
    Ok(Ledger::migrated(&legacy))
}

/// On a server that cannot be read, an import before there was a ledger is not repeated if it was this one.
fn taken_over(matter: &Matter<'_>, known: Known, api_url: &str) -> Result<Known> {
    let Some(first) = matter.opened.first() else { return Ok(known) };
    let Some(digest) = first.remembered.digest.as_deref() else { return Ok(known) };
    let target = target(api_url.to_owned(), matter.organization_id.to_owned(), known.roster.kind);
    let plan = bwdc_core::plan(matter.reading.prepared.clone(), &first.instance.rules, &target);
    if Some(digest) != bwdc_core::plan::digest(&plan.requests, &target).as_ref().map(Digest::as_str) {
        return Ok(known);
    }
    let changes = changes(&known.question());
    let ledger = known.ledger.clone().taken_over(&known.question(), &changes);
    let roster = ledger.roster(known.roster.kind);
    Ok(Known { ledger, roster, ..known })
}

/// The directory, with the places that are known from runs before and lie within what was read.
fn directory_now(matter: &Matter<'_>, mut directory: DirectoryNow, ledger: &Ledger) -> DirectoryNow {
    for (source, read) in directory.sources.iter_mut().zip(&matter.reading.sources) {
        source.covers = ledger.places().filter(|place| read.directory.covers(place)).cloned().collect();
    }
    directory
}

/// Reads what the changes depend on: memberships of groups, whether newcomers can be staged, seats.
async fn read_more(
    mut known: Known,
    organization: &mut OpenOrganization<'_>,
    look: Look,
) -> Result<Decision> {
    let first = changes(&known.question());
    let wanted = match look {
        Look::Due => Ledger::to_read(&known.question(), &first),
        Look::Everything => with_external_id(&known),
        Look::Remembered => Vec::new(),
    };
    let has_newcomers = first.members.iter().any(|change| change.action.is_new());
    let is_first_enough = wanted.is_empty() && !has_newcomers && look == Look::Due;
    if is_first_enough {
        return Ok(Decision { known, changes: first });
    }
    organization.read_memberships(&mut known.roster, &wanted).await?;
    let is_as_known = !has_newcomers && look == Look::Due && known.question().is_as_imported(&wanted);
    if is_as_known {
        return Ok(Decision { known, changes: first });
    }
    if has_newcomers && known.settings.newcomers == Newcomers::Stage {
        known.roster.staging = organization.staging().await?;
    }
    if has_newcomers || look == Look::Everything {
        known.roster.seats = organization.seats().await?;
    }
    Ok(Decision { changes: changes(&known.question()), known })
}

/// Groups that may be ours, and those that protect their members.
fn with_external_id(known: &Known) -> Vec<GroupId> {
    let Known { roster, settings, .. } = known;
    let is_meant = |group: &&Group| group.external_id.is_some() || settings.protect.has_group(&group.name);
    let groups = roster.groups().filter(is_meant);
    groups.map(|group| group.id.clone()).collect()
}
