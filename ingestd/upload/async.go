package upload

import "context"

// follow waits for the end of an upload that the server processes by itself.
func (c *Client) follow(ctx context.Context, handed *Answer) (*Answer, error) {
	return handed, nil
}
