// Package deploy holds the tests of the whole: the import rules, that documents agree with the programs,
// the words of comments, and that the daemons work together as separate processes.
package deploy
