# What bc-secrets-sync may do where the mount is KV version 1: read the secrets of the stores, list their names, and
# nothing else.
#
# The path is that of the KV version 1 API: MOUNT/PREFIX/*. Here the mount is `secret` and every store's `path` in
# the configuration begins with `bigcommerce/`. `setup` puts yours in their place.
path "secret/bigcommerce/*" {
  capabilities = ["read"]
}

# Which secrets there are: for [[discover]]. Without it every store must be configured by its name.
path "secret/bigcommerce" {
  capabilities = ["list"]
}
