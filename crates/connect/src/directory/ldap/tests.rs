//! The pure parts, without a server.
