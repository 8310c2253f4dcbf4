// Package deploy holds the tests of the whole: who imports whom, that documents say what the programs
// do, and that the daemons work together as separate processes.
package deploy
