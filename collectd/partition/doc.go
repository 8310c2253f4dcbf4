// Package partition decides which collector works on which partition, and proves it.
//
// In: members and a number of partitions. Out: claims, each with the guard that proves it. It never knows
// what is owned.
//
// A collector is a member: a key on a lease that its process keeps alive. Every member ranks all members
// for every partition in the same way (rendezvous hashing), claims what it ranks first for and gives up
// what it does not, so nobody has to coordinate. A claim is an owner key that was created on the member's
// lease; the key's create revision is the claim's token, and Claim.Guard compares it inside each
// transaction that the owner writes.
//
// Several generations are shared side by side, each under owner keys of its own, by one member on one lease. Among
// those who rank for a generation are the members of its model version only.
//
// Nothing here is needed for safety: two members may believe for a moment that they own one partition, and
// then the guard of one of them fails in etcd. Leases, ranks and timers only decide how soon a partition
// has an owner.
package partition
