# What bc-secrets-sync may do: read the secrets of the stores, list their names and versions, and nothing else.
#
# The paths are those of the KV version 2 API: MOUNT/data/PREFIX/* and so on. Here the mount is `secret` and every
# store's `path` in the configuration begins with `bigcommerce/`. `setup` puts yours in their place.
path "secret/data/bigcommerce/*" {
  capabilities = ["read"]
}

# Which secrets there are: for [[discover]], of which each folder below (`/*`) has one of its own. Without it every store
# must be configured by its name.
path "secret/metadata/bigcommerce" {
  capabilities = ["list"]
}
path "secret/metadata/bigcommerce/*" {
  capabilities = ["list"]
}

# Which versions they have, all in one answer: OpenBao has this, Vault has not. Without it each secret is read once
# in each interval, to see whether it has changed.
path "secret/detailed-metadata/bigcommerce" {
  capabilities = ["list"]
}
path "secret/detailed-metadata/bigcommerce/*" {
  capabilities = ["list"]
}

# Its own token: whether it is still good, to make it last, and to give it back at the end. These come with the
# policy `default` too, but the role that `setup` makes leaves that one out: it allows more than is needed, and the
# server works out its templates anew at every request, which takes more than a read does.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
