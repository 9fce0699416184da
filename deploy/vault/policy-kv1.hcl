# What bc-secrets-sync may do where the mount is KV version 1: read the secrets of the stores, list their names, and
# nothing else.
#
# The path is that of the KV version 1 API: MOUNT/PREFIX/*. Here the mount is `secret` and every store's `path` in
# the configuration begins with `bigcommerce/`. `setup` puts yours in their place.
path "secret/bigcommerce/*" {
  capabilities = ["read", "list"]
}

# Which secrets there are: for [[discover]], as is the `list` above, for folders. Without both every store must be
# configured by its name.
path "secret/bigcommerce" {
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
