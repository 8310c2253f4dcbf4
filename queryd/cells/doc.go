// Package cells answers queries of history over several clusters.
//
// In: the view and the history of each cluster, as one caller may see them. Out: one page in one order, whose cursor holds a
// position in each cluster, and the clusters that could not answer. Clusters know nothing of each other: an entry belongs to the
// cluster that it is from, and nothing is joined but sums.
//
// A cluster that cannot answer is left out of a page and named. Its position stays where it was, so that a further page continues
// with it: entries are then out of order once, and none is lost.
package cells
