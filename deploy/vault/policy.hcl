# What bc-secrets-sync may do: read the secrets of the stores, and nothing else.
#
# The path is that of the KV version 2 API: MOUNT/data/PREFIX/*. Here the mount is `secret` and every store's
# `path` in the configuration begins with `bigcommerce/`. Neither `list` nor anything on `metadata/` is needed.
# Looking up, renewing and revoking its own token comes with the policy `default`, which every token has unless
# it was made without.
path "secret/data/bigcommerce/*" {
  capabilities = ["read"]
}
