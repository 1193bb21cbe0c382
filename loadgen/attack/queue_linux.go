package attack

// list is a list of connections in the order of their sending.
type list struct {
	first, last *conn
	n           int
}

func (l *list) push(c *conn) {
	c.prev, c.next = l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
	l.n++
}

func (l *list) remove(c *conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.prev, c.next = nil, nil
	l.n--
}

// hitQueue is a first-in-first-out queue.
type hitQueue struct {
	hits []*hit
	head int
}

func (q *hitQueue) len() int { return len(q.hits) - q.head }
func (q *hitQueue) push(h *hit) {
	if q.head > 1024 && q.head > len(q.hits)/2 {
		n := copy(q.hits, q.hits[q.head:])
		clear(q.hits[n:])
		q.hits, q.head = q.hits[:n], 0
	}
	q.hits = append(q.hits, h)
}
func (q *hitQueue) front() *hit { return q.hits[q.head] }
func (q *hitQueue) pop() *hit {
	h := q.hits[q.head]
	q.hits[q.head] = nil
	q.head++
	if q.head == len(q.hits) {
		q.hits, q.head = q.hits[:0], 0
	}
	return h
}
