//! Samples that several crates damage.

/// Files `data.json` of all versions and directories.
pub const DATA_FILES: [&str; 6] = [
    r#"{"stateVersion":8,"directoryType":0,"organizationId":"o","directoryLdap":{"hostname":"dc1.example.org","port":389,"domain":"a","rootPath":"dc=x","username":"cn=a","password":"p","ssl":false,"startTls":true,"pagedSearch":true},"sync":{"users":true,"groups":true,"interval":15,"userFilter":"(cn=*)","removeMissing":"no","revisionDateAttribute":null},"lastUserSync":"2026-01-01T00:00:00Z","importBegun":"2026-01-01T00:00:00Z","environmentUrls":{"base":"https://vault.example.org"}}"#,
    r#"{"stateVersion":"8","directoryType":"2","directoryGsuite":{"clientEmail":"a@b","domain":"example.org","privateKey":"p","adminUser":"c@d"},"sync":{"users":"true","userFilter":"include:a@x.org|orgUnitPath=/","interval":"7.5"}}"#,
    r#"{"global":{"stateVersion":3,"environmentUrls":{"api":"http://localhost"}},"activeUserId":"u","u":{"directoryConfigurations":{"azure":{"tenant":"t","key":"k"},"okta":{"orgUrl":"https://e.okta.com","token":"t"}},"directorySettings":{"directoryType":1,"sync":{"groups":true}},"keys":{"apiKeyClientSecret":"s"}}}"#,
    r#"{"stateVersion":7,"directoryType":3,"directoryOkta":{"orgUrl":"https://e.okta.com","token":"t"},"sync":{"users":true,"userFilter":"exclude:a@x.org"}}"#,
    r#"{"stateVersion":8,"directoryType":4,"directoryOnelogin":{"region":"us","clientId":"c","clientSecret":"s"},"directoryEntra":{"tenant":"t","applicationId":"a","key":"k","identityAuthority":"x"}}"#,
    r#"{"stateVersion":8,"directoryType":"file","directoryFile":{"path":"people"},"mergedBy":"/x","secrets":{"file":"s.env"}}"#,
];
