// Package journal shows the events of the log to people, page by page.
//
// In: a Query and the log. Out: events as they were appended, damaged ones with their reason, and where the next page
// starts. It never follows the log, never folds, and reads no more of it for a page than a bounded number of events,
// however rare those are that a filter lets through.
package journal
