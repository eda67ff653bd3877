//! Settings of every instance: the organization's server, and which directory it is.

use bwdc_store::key;

use crate::setting::StoredAt::{In, Top};
use crate::setting::{Type, settings};

settings! {
    SERVER: "server", In(key::URLS, "base"), Type::Server, "https://bitwarden.com", "The server's base URL; `bitwarden.com` and `https://vault.bitwarden.eu` mean the clouds. Clears the other server settings.";
    SERVER_ALLOW_PLAIN_HTTP: "server.allowPlainHttp", In("server", "allowPlainHttp"), Type::Flag, "false", "Allow plain http to a server on another machine. The API key and everybody's names then cross the network unencrypted.";
    DIRECTORY: "directory", Top(key::DIRECTORY_TYPE), Type::Directory, "", "Type of the directory.";
    SERVER_API: "server.api", In(key::URLS, "api"), Type::Url, "", "Base URL of the API, if it is not the one derived from `server`.";
    SERVER_IDENTITY: "server.identity", In(key::URLS, "identity"), Type::Url, "", "Base URL of the identity server, if it is not the one derived from `server`.";
    SERVER_WEB_VAULT: "server.webVault", In(key::URLS, "webVault"), Type::Url, "", "The web vault's base URL: kept for the existing connector, not used.";
}
