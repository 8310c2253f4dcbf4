// Package socket serves every WebSocket: the live stream on /ws and GraphQL on /graphql.
//
// In: connections and subscriptions. Out: a snapshot, then changes, each with a position to resume from. The losses
// of a slow reader are decided by live, and documents are executed by graph; never here.
//
// # A connection
//
// Two goroutines serve it. The reader parses the client's messages. The writer owns the socket and the session's
// streams: only it writes messages, and it runs the reader's requests as tasks, one by one. Nothing is queued between
// the hub and the socket: the writer takes a message from the hub when the socket has taken the last frame, so that a
// slow client receives newer values instead of using more memory. Both have ended before the handler returns, since
// the connection's memory is reused then.
//
// # gpu.live.v1
//
// JSON text frames. A client that offers no subprotocol speaks this one on /ws. The client sends
//
//	{"op":"auth","token":"…"}
//	{"op":"sub","id":"a","filter":{"host":["gpu-*"],"gpu":["GPU-…"],"metric":["DCGM_FI_DEV_GPU_UTIL"]},
//	 "mode":"latest","hz":4,"snapshot":true,"from":"<rev>"}
//	{"op":"unsub","id":"a"}
//	{"op":"ping"}
//
// and all fields but op and id may be left out. Where tokens are asked for, a client that shows none in the request's
// Authorization header or by a client certificate sends auth first, and is greeted then; before, every other op closes the
// connection with 4401. A token is never taken from the URL or a subprotocol. Expired and revoked credentials close the
// connection with 4401, a missing right with 4403. gpu takes the names of a GPU: its id or UUID, "host:index" and
// "host:pci-address". A name selects the GPU that has it at the time; when another gets it, the one before comes under
// del and the new one whole. A UUID that several hosts report selects the GPU of each; their ids are the UUID and
// "host:uuid". The server sends
//
//	{"t":"hello","server":…,"epoch":…,"rev":…,"folded":…,"heartbeatMs":…,"limits":{…}}
//	{"t":"ack","id":"a","rev":…,"resumed":false,"reason":…}
//	{"t":"reset","id":"a","reason":"compacted"}       forget everything; a snapshot follows
//	{"t":"snap","id":"a","rev":…,"part":0,"more":false,"items":[…]}
//	{"t":"synced","id":"a","rev":…}
//	{"t":"upd","id":"a","rev":…,"del":[…],"items":[…]}
//	{"t":"lag","id":"a","queued":12}
//	{"t":"hb","rev":…,"folded":…,"ts":…,"asOf":…}     everything up to rev was delivered, for every subscription
//	{"t":"err","id":"a","code":…,"msg":…}             no subscription was made; the connection stays open
//	{"t":"pong"}
//	{"t":"bye","reason":…,"retryMs":…}                then the connection closes
//
// An item is {"gpu":…,"host":…,"part":…,"ts":…,"m":{metric:number},"absent":{metric:reason}}; part and absent are
// present only if they are not empty. A rev is a token for from; an empty rev names no position (a part of a
// snapshot). A connection receives an hb in each interval of heartbeatMs, at a time of its own in it, the first one after half
// an interval. del is applied before items. Values are absolute and come at least once, in order per GPU. Clients
// ignore unknown fields and types.
//
// Of a server of several clusters, /ws is about all that the client may see, or about the one that ?cluster= names. Every frame of a
// subscription then has the name of its cluster behind the id, and so have hb frames, of which there is one for each cluster. The first
// frame is
//
//	{"t":"hello","server":…,"clusters":[{"cluster":…,"epoch":…,"rev":…,"folded":…}],"away":["b"],"heartbeatMs":…,"limits":{…}}
//
// and from is an object with a rev for each cluster, {"a":"<rev>","b":"<rev>"}. A subscription has an ack, a snapshot and a synced for each
// cluster. A cluster that is away has none of them; it joins when it is back, where it was left or with a snapshot.
//
// # graphql-transport-ws
//
// The protocol of that name, with the close codes of its reference implementation; see graphql.go. The payload of
// connection_init may hold a token: {"authorization":"Bearer …"} or {"token":"…"}.
package socket
