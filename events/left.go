package events

// HostLeft is the metric of the record by which a host leaves the live views, because nothing of it was appended for a long
// time. The record's time is the time at which the host's last event was appended: the host leaves unless a later one comes
// before, and is back with the next. Its history stays.
//
// Only collectors append such records. package metric keeps the name from every metric of a source.
const HostLeft = "host_left"

// LeftEvent returns the event by which a host leaves whose last event was appended at an instant. The same host and instant
// make the same event.
func LeftEvent(host HostID, appended Timestamp) Event {
	return controlEvent(host, Record{Identity: &Identity{}, Metric: HostLeft, At: appended})
}

// Left returns the newest time of a HostLeft record in the event. It returns false if the event holds none.
func (e *Event) Left() (appended Timestamp, ok bool) {
	for i := range e.Columns {
		if c := &e.Columns[i]; c.Metric == HostLeft && c.Len() > 0 && (!ok || c.Times[c.Len()-1] > appended) {
			appended, ok = c.Times[c.Len()-1], true
		}
	}
	return appended, ok
}

// HostDue is the metric of the record by which readings of a host that were ahead of their time become its latest, where nothing
// else is appended when their time has come. The record's time is the newest of these times.
//
// Only collectors append such records. package metric keeps the name from every metric of a source.
const HostDue = "host_due"

// DueEvent returns the event by which readings of a host become its latest. The same host and instant make the same event.
func DueEvent(host HostID, due Timestamp) Event {
	return controlEvent(host, Record{Identity: &Identity{}, Metric: HostDue, At: due})
}

// IsControl reports whether a metric is the pipeline's own: its records say something of their host, and are no readings.
func IsControl(metric string) bool {
	return metric == HostJoined || metric == HostLeft || metric == HostDue
}
