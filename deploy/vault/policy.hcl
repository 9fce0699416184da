# What bc-secrets-sync may do: read the secrets of the stores, list their names and versions, and nothing else.
#
# The paths are those of the KV version 2 API: MOUNT/data/PREFIX/* and so on. Here the mount is `secret` and every
# store's `path` in the configuration begins with `bigcommerce/`. `setup` puts yours in their place.
# Looking up, renewing and revoking its own token comes with the policy `default`, which every token has unless
# it was made without.
path "secret/data/bigcommerce/*" {
  capabilities = ["read"]
}

# Which secrets there are: for [[discover]]. Without it every store must be configured by its name.
path "secret/metadata/bigcommerce" {
  capabilities = ["list"]
}

# Which versions they have, all in one answer: OpenBao has this, Vault has not. Without it each secret is read once
# in each interval, to see whether it has changed.
path "secret/detailed-metadata/bigcommerce" {
  capabilities = ["list"]
}
