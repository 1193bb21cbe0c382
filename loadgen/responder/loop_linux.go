package responder

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// server answers from one thread: what it costs is its system calls.
type server struct {
	cfg         Config
	rhythm      rhythm
	listener    int
	epoll, stop int // stop is an eventfd
	held        []int32
	release     time.Time     // when the held ones are answered, zero if none are held
	drain       time.Duration // what it last took to answer the held ones
	received    uint64
	partial     map[int32][]byte // requests that came in part
	buf         []byte
	events      []unix.EpollEvent
}

// Start runs a responder on a free loopback port.
func Start(cfg Config) (*Target, error) {
	ln, err := listen()
	if err != nil {
		return nil, err
	}
	file, err := ln.File()
	addr := ln.Addr().String()
	_ = ln.Close()
	if err != nil {
		return nil, fmt.Errorf("responder: %w", err)
	}
	s := &server{cfg: cfg, rhythm: rhythm{stall: cfg.Stall, period: cfg.Period}, listener: int(file.Fd()),
		partial: map[int32][]byte{}, buf: make([]byte, 16<<10), events: make([]unix.EpollEvent, 256)}
	if err := s.open(); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("responder: %w", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		s.run()
		_ = file.Close()
	})
	return &Target{addr: addr, close: sync.OnceFunc(func() {
		one := [8]byte{1}
		_, _ = unix.Write(s.stop, one[:])
		wg.Wait()
		_ = unix.Close(s.stop)
	})}, nil
}

// open makes what the server waits with.
func (s *server) open() (err error) {
	// Connections inherit it. BBR, where it is the default, arms a timer for each
	// answer to space it from the next: held answers would leave one by one.
	if unix.SetsockoptString(s.listener, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic") != nil {
		_ = unix.SetsockoptString(s.listener, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
	}
	if err := unix.SetNonblock(s.listener, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if s.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(s.epoll)
		return os.NewSyscallError("eventfd", err)
	}
	for _, fd := range []int{s.listener, s.stop} {
		if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			_, _ = unix.Close(s.epoll), unix.Close(s.stop)
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	return nil
}

// run answers until it is stopped.
func (s *server) run() {
	// The thread is not unlocked: its slack and its core go with it.
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	if s.cfg.CPU > 0 {
		var set unix.CPUSet
		set.Set(s.cfg.CPU - 1)
		_ = unix.SchedSetaffinity(0, &set)
	}
	defer unix.Close(s.epoll)
	open := map[int32]bool{}
	defer func() {
		for fd := range open {
			_ = unix.Close(int(fd))
		}
	}()
	for {
		n, err := s.wait()
		if err != nil {
			return
		}
		for _, ev := range s.events[:n] {
			switch int(ev.Fd) {
			case s.stop:
				return
			case s.listener:
				s.accept(open)
			default:
				if !s.serve(ev.Fd) {
					delete(open, ev.Fd)
					delete(s.partial, ev.Fd)
					_ = unix.Close(int(ev.Fd))
				}
			}
		}
		s.answerHeld()
	}
}

// spin is how long before the end of a stall the server does not sleep: to be woken
// costs tens of microseconds on virtual machines. Otherwise it sleeps: a server that
// spins takes its core from everything else, the generator's bookkeeping included.
const spin = 200 * time.Microsecond

// A wait that the scheduler is told of has it look after the thread every 20 us, on
// the same core: at 10,000 requests/s that took 4% of it, and every hundredth request
// waited for a millisecond. So the first waits after a request are short, and it is
// not told.
const (
	brief    = 500 * time.Microsecond
	patience = 4 // brief waits before a long one
)

// wait returns how many events there are; none at the end of a stall.
func (s *server) wait() (int, error) {
	if s.release.IsZero() {
		for range patience {
			if n, err := s.poll(brief); n > 0 || err != nil {
				return n, err
			}
		}
		return s.poll(-1)
	}
	for {
		left := time.Until(s.leaves())
		if left <= 0 {
			return 0, nil
		}
		if n, err := s.poll(max(left-spin, 0)); n > 0 || err != nil {
			return n, err
		}
	}
}

// poll waits for events for at most d, for ever if it is negative.
func (s *server) poll(d time.Duration) (int, error) {
	var ts *unix.Timespec
	call := syscall.Syscall6
	if d >= 0 {
		t := unix.NsecToTimespec(int64(d))
		ts = &t
	}
	if d >= 0 && d <= brief {
		call = syscall.RawSyscall6
	}
	n, _, errno := call(unix.SYS_EPOLL_PWAIT2, uintptr(s.epoll), uintptr(unsafe.Pointer(&s.events[0])), uintptr(len(s.events)), uintptr(unsafe.Pointer(ts)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

func (s *server) accept(open map[int32]bool) {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}) != nil {
			_ = unix.Close(fd)
			continue
		}
		open[int32(fd)] = true
	}
}

// serve reads what a connection has sent; false means that it is to be closed.
func (s *server) serve(fd int32) bool {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&s.buf[0])), uintptr(len(s.buf)), 0, 0, 0)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return true
	case errno != 0 || n == 0:
		return false
	}
	b := s.buf[:n]
	if before := s.partial[fd]; len(before) > 0 || !bytes.HasSuffix(b, emptyEnd) {
		b = append(before, b...)
		if !bytes.HasSuffix(b, emptyEnd) {
			s.partial[fd] = b
			return len(b) < len(s.buf)
		}
		delete(s.partial, fd)
	}
	if bytes.HasPrefix(b, asksFor) {
		return s.send(fd, counted(s.received))
	}
	for range requests(b) {
		s.received++
		if s.release.IsZero() {
			s.release = s.rhythm.until(time.Now())
		}
		if !s.release.IsZero() {
			s.held = append(s.held, fd)
			continue
		}
		if !s.send(fd, answer) {
			return false
		}
	}
	return true
}

// answerHeld answers what was held back, if its time has come.
//
// Some hundred answers take milliseconds to leave, and the wait of each is the
// longer the more are before it. So that the mean wait is that of a stall that ends
// at once for all, the first leaves half that time early, as long as it last took.
func (s *server) answerHeld() {
	if s.release.IsZero() || time.Now().Before(s.leaves()) {
		return
	}
	began := time.Now()
	for _, fd := range s.held {
		s.send(fd, answer) // who has gone finds out by reading
	}
	// A server that lost its core meanwhile is no measure of the next time.
	s.drain = min(time.Since(began), s.cfg.Stall/20)
	s.rhythm.ended = s.release
	s.held, s.release = s.held[:0], time.Time{}
}

// leaves is when the first of the held answers leaves.
func (s *server) leaves() time.Time { return s.release.Add(-s.drain / 2) }

func (s *server) send(fd int32, b []byte) bool {
	_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return errno == 0
}
