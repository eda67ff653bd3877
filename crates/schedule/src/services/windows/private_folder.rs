//! Folders of what the service syncs: only the system, its administrators and the service may look into them. In `%ProgramData%` everybody may
//! read and make files otherwise ("Access Control Lists", "Security Descriptor String Format", Microsoft Learn).

#[cfg(not(windows))]
pub(super) use self::elsewhere::{close, close_for};
#[cfg(windows)]
pub(super) use self::rights::{close, close_for};

#[cfg(windows)]
mod rights {
    use std::fs;
    use std::os::windows::fs::MetadataExt as _;
    use std::path::Path;

    use windows_permissions::constants::{SeObjectType, SecurityInformation};
    use windows_permissions::utilities::current_process_sid;
    use windows_permissions::wrappers::{
        ConvertSecurityDescriptorToStringSecurityDescriptor, GetNamedSecurityInfo, LookupAccountName,
        SetNamedSecurityInfo,
    };
    use windows_permissions::{LocalBox, SecurityDescriptor};

    use super::super::ACCOUNT;
    use bwdc_core::error::{Error, Result};

    /// The service's account: `S-1-5-80-` and the SHA-1 of its name in capitals, as `sc.exe showsid bwdc` computes it.
    const SERVICE: &str = "S-1-5-80-1894068562-3665282132-3493523899-1306104015-2871861205";

    /// The system, its administrators, and what installs its updates ("Well-known SIDs", Microsoft Learn).
    const TRUSTED: [&str; 3] =
        ["S-1-5-18", "S-1-5-32-544", "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"];

    /// `FILE_ATTRIBUTE_REPARSE_POINT`: a link, a junction or a mount point.
    const REPARSE_POINT: u32 = 0x400;

    /// Makes the folder if it is missing, and closes it, unless somebody who may has given it rights of its own.
    pub(in super::super) fn close(folder: &Path) -> Result<()> {
        if !folder.exists() {
            fs::create_dir(folder).map_err(|error| failed("Making", folder, &error))?;
        }
        check_owner(folder, &[])?;
        if !is_protected(folder)? {
            set(folder, &rights_of(SERVICE), SecurityInformation::ProtectedDacl)?;
        }
        each_entry(folder, &mut |entry| check_owner(entry, &[]))
    }

    /// Closes the folder to all but the service with this account, with whatever is in it.
    pub(in super::super) fn close_for(folder: &Path, account: &str) -> Result<()> {
        let service = sid_of(account)?;
        let may_own = [service.as_str()];
        check_owner(folder, &may_own)?;
        set(folder, &rights_of(&service), SecurityInformation::ProtectedDacl)?;
        each_entry(folder, &mut |entry| {
            check_owner(entry, &may_own)?;
            // What it inherits from the folder, and nothing else.
            set(entry, "D:", SecurityInformation::UnprotectedDacl)
        })
    }

    /// In full for the system and administrators; the service may do everything but change rights.
    fn rights_of(service: &str) -> String {
        format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;{service})")
    }

    fn sid_of(account: &str) -> Result<String> {
        if account == ACCOUNT {
            return Ok(SERVICE.to_owned());
        }
        match LookupAccountName(None::<&str>, account) {
            Ok((sid, _, _)) => Ok(sid.to_string()),
            Err(error) => Err(Error::new(format!("Looking for the account {account}: {error}"))),
        }
    }

    fn each_entry(folder: &Path, act: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
        let entries = fs::read_dir(folder).map_err(|error| failed("Reading", folder, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| failed("Reading", folder, &error))?.path();
            act(&path)?;
            if path.is_dir() {
                each_entry(&path, act)?;
            }
        }
        Ok(())
    }

    /// Refuses what leads elsewhere, and what belongs to somebody who could have put something else there.
    fn check_owner(path: &Path, may_own: &[&str]) -> Result<()> {
        let found = fs::symlink_metadata(path).map_err(|error| failed("Looking at", path, &error))?;
        if found.file_attributes() & REPARSE_POINT != 0 {
            return Err(Error::new(format!(
                "{} leads elsewhere: it is a link or a junction.",
                path.display()
            ))
            .hint("Remove it, or name the folder itself."));
        }
        let own = current_process_sid().map_err(|error| failed("Looking for the owner of", path, &error))?;
        let owner = descriptor(path, SecurityInformation::Owner)?.owner().map(ToString::to_string);
        let owner = owner.unwrap_or_default();
        let is_trusted = TRUSTED.contains(&owner.as_str())
            || owner == SERVICE
            || owner == own.to_string()
            || may_own.contains(&owner.as_str());
        if is_trusted {
            return Ok(());
        }
        Err(Error::new(format!(
            "{} belongs to somebody else ({owner}), who may have put there what should not be believed.",
            path.display()
        ))
        .hint(format!(
            "Look at it. Then remove it, or take it over in a prompt that was opened as administrator: icacls \"{}\" /setowner Administrators",
            path.display()
        )))
    }

    /// Whether it has rights of its own and inherits none.
    fn is_protected(path: &Path) -> Result<bool> {
        let found = descriptor(path, SecurityInformation::Dacl)?;
        let text = ConvertSecurityDescriptorToStringSecurityDescriptor(&found, SecurityInformation::Dacl)
            .map_err(|error| failed("Reading the rights of", path, &error))?;
        Ok(text.to_string_lossy().starts_with("D:P"))
    }

    fn descriptor(path: &Path, what: SecurityInformation) -> Result<LocalBox<SecurityDescriptor>> {
        GetNamedSecurityInfo(path, SeObjectType::SE_FILE_OBJECT, what)
            .map_err(|error| failed("Reading the rights of", path, &error))
    }

    /// The rights in this form, and no others.
    fn set(path: &Path, rights: &str, inheritance: SecurityInformation) -> Result<()> {
        let setting = |error: std::io::Error| failed("Setting the rights of", path, &error);
        let wanted: LocalBox<SecurityDescriptor> = rights.parse().map_err(setting)?;
        let what = SecurityInformation::Dacl | inheritance;
        SetNamedSecurityInfo(path, SeObjectType::SE_FILE_OBJECT, what, None, None, wanted.dacl(), None)
            .map_err(setting)
    }

    fn failed(what: &str, path: &Path, error: &std::io::Error) -> Error {
        let failed = Error::new(format!("{what} {}: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                failed.hint("Run this in a prompt that was opened as administrator.")
            }
            _ => failed,
        }
    }
}

/// Other systems have modes.
#[cfg(not(windows))]
mod elsewhere {
    use std::path::Path;

    use bwdc_core::error::Result;

    pub(in super::super) fn close(_folder: &Path) -> Result<()> {
        Ok(())
    }

    pub(in super::super) fn close_for(_folder: &Path, _account: &str) -> Result<()> {
        Ok(())
    }
}
