//! Publishing: whole generations, swapped atomically, in the layout of the AtomicWriter of Kubernetes.
