//! Runs that find everything as it was when a run found nothing to do: they do not decide anew. See [`bwdc_core::organization::in_step`].

use bwdc_connect::bitwarden::Within;
use bwdc_core::error::Result;
use bwdc_core::organization::directory::DirectoryNow;
use bwdc_core::organization::in_step::Evidence;
use bwdc_core::organization::roster::{GroupId, Kind};
use bwdc_core::organization::{Ledger, Settings};
use bwdc_core::text::digest;
use foldhash::HashMap as FastMap;

use crate::decide::{Decision, moment};
use crate::ledger::AtRest;
use crate::open::Opened;
use crate::organization::OpenOrganization;
use crate::plan::{Decided, Gathered, Loaded};
use crate::read::DecidedRead;

/// What a run is about, by the parts that were read.
struct Matter<'a> {
    opened: &'a [Opened<'a>],
    organization: &'a OpenOrganization<'a>,
    reading: &'a DecidedRead,
    directory: &'a DirectoryNow,
    settings: &'a Settings,
    kind: Kind,
    /// Digest of what the organization answered.
    contents: &'a str,
}

impl Matter<'_> {
    /// Digest of everything that decides a run, but for the ledger, the time and the memberships.
    fn digest(&self) -> String {
        let Self { opened, organization, reading, directory, settings, kind, contents } = self;
        let rules: Vec<_> = opened.iter().map(|opened| &opened.instance.rules).collect();
        digest([
            env!("CARGO_PKG_VERSION"),
            &organization.api_url,
            &organization.account.organization_id,
            &format!("{kind:?} {settings:?} {rules:?} {:?}", reading.parts),
            &directory.digest(),
            contents,
        ])
    }

    /// Whether everything that an administrator is told can be told without the ledger: on Vaultwarden, it has the address of a leaver
    /// whose entry has none any more.
    fn needs_no_ledger(&self) -> bool {
        self.kind == Kind::Official
            || self.reading.prepared.people.iter().all(|person| person.email.is_some())
    }
}

/// Whether everything is as the last run left it; memberships that are due are read. What the next run needs, if so.
pub(crate) async fn still_at_rest(gathered: &mut Gathered<'_>) -> Result<Option<AtRest>> {
    let now = moment(gathered.started());
    let Gathered { opened, organization, reading, settings, contents, ledger, .. } = gathered;
    let Loaded::AtRest(_, AtRest { print, times, evidence }) = ledger else { return Ok(None) };
    let matter = Matter {
        opened,
        organization,
        reading,
        directory: &reading.directory,
        settings,
        kind: contents.kind,
        contents: &contents.digest,
    };
    let was_synced = opened.iter().all(|opened| opened.remembered.digest.is_some());
    if !was_synced || !matter.needs_no_ledger() || !evidence.is_about(&matter.digest(), now) {
        return Ok(None);
    }
    let due: FastMap<&GroupId, _> = evidence.due(times, settings, now).into_iter().collect();
    let ids: Vec<GroupId> = due.keys().copied().cloned().collect();
    for (id, within) in organization.memberships(&ids).await? {
        let is_as_left = match (&within, due.get(&id)) {
            (Within::Members(members), Some(external_id)) => evidence.is_as_left(external_id, members),
            (Within::Members(_) | Within::Gone, _) => false,
        };
        if !is_as_left {
            return Ok(None);
        }
    }
    let read: Vec<_> = due.into_values().cloned().collect();
    Ok(Some(AtRest { print: *print, times: times.clone().after(read, now), evidence: evidence.clone() }))
}

/// Evidence that a run has decided that there is nothing to do; `ledger` is what it leaves.
pub(crate) fn decided_at_rest(decided: &Decided<'_>, ledger: &Ledger) -> Option<Evidence> {
    let Decided { opened, organization, reading, contents, decision, .. } = decided;
    let Decision { known, changes } = &**decision;
    let matter = Matter {
        opened,
        organization,
        reading,
        directory: &known.directory,
        settings: &known.settings,
        kind: known.roster.kind,
        contents,
    };
    Evidence::of(|| matter.digest(), &known.roster, ledger, &known.settings, changes, known.now)
}
