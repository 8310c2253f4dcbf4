// Package journal lists the events of the log page by page.
//
// In: a Query and the log. Out: events as they were appended, damaged ones with their reason, and the position of the
// next page. It never follows the log, never folds, and reads a bounded number of events for a page, however few of
// them pass the filter.
package journal
