// Package partition decides which collector works on which partition, and proves it.
//
// In: members and a number of partitions. Out: claims, each with the guard that proves it. It knows nothing of the
// data of a partition.
//
// A collector is a member: a key on a lease that its process keeps alive. Every member ranks all members for every
// partition in the same way (rendezvous hashing), claims the partitions for which it ranks first and releases the
// others, so there is no coordinator. A claim is an owner key that was created on the member's lease; the key's
// create revision is the claim's token, and Claim.Guard compares it inside each transaction that the owner writes.
//
// Several generations are shared side by side, each under owner keys of its own, by one member on one lease. Only the
// members of a generation's model version are ranked for it.
//
// Safety does not depend on this package: two members may believe for a moment that they own one partition, and then
// the guard of one of them fails in etcd. Leases, ranks and timers only decide how soon a partition has an owner.
package partition
