//! The source: logs in to Vault or OpenBao, renews its token, and reads secrets.
