package main

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/config_client"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

const (
	openersMax    = 16 // clients that connect at a time
	complaintsMax = 30
	swarmPort     = 8000
)

// A swarm is many clients in one process: each registers an instance, subscribes to its service, and calls the server
// again and again. A list that a subscriber is told, and that lacks the instance of a living member after it was once whole, is a
// false removal: members never leave before the swarm is closed.
type swarm struct {
	mutex         sync.Mutex // guards everything below, and the members' last
	members       []*member
	services      int
	calls         int
	events        int
	slowest       time.Duration
	errors        []string
	errorCount    int
	falseRemovals []string
	armed         bool
	stop          chan struct{}
	wait          sync.WaitGroup
}

type member struct {
	number  int
	naming  naming_client.INamingClient
	config  config_client.IConfigClient // of every tenth
	last    []string                    // addresses in the last list that it was told
	service string
	ip      string
}

func (s *swarm) sizeOf(m *member) int {
	return (len(s.members)-1-m.number%s.services)/s.services + 1
}

func (s *swarm) told(m *member, list []model.Instance) {
	found := map[string]bool{}
	for _, i := range list {
		found[i.Ip] = true
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.events++
	m.last = m.last[:0]
	for ip := range found {
		m.last = append(m.last, ip)
	}
	if !s.armed {
		return
	}
	for _, other := range s.members {
		if other.service == m.service && !found[other.ip] && len(s.falseRemovals) < complaintsMax {
			s.falseRemovals = append(s.falseRemovals, fmt.Sprintf("%s member %d was told a list of %d of %s without %s",
				time.Now().UTC().Format("15:04:05.000"), m.number, len(found), m.service, other.ip))
		}
	}
}

func (d *driver) swarmOpen(c command) (any, error) {
	s := &swarm{services: max(c.Services, 1), stop: make(chan struct{})}
	for n := 0; n < c.Count; n++ {
		s.members = append(s.members, &member{number: n, service: fmt.Sprintf("%s-%d", c.Service, n%s.services),
			ip: fmt.Sprintf("10.50.%d.%d", n/250, n%250+1)})
	}
	d.swarm = s
	gate, failed := make(chan struct{}, openersMax), make(chan error, c.Count)
	for _, m := range s.members {
		gate <- struct{}{}
		go func(m *member) {
			failed <- d.join(s, m, c)
			<-gate
		}(m)
	}
	for range s.members {
		if err := <-failed; err != nil {
			return nil, err
		}
	}
	for _, m := range s.members {
		s.wait.Add(1)
		go s.work(m, time.Duration(c.EveryMs)*time.Millisecond)
	}
	return true, nil
}

func (d *driver) join(s *swarm, m *member, c command) error {
	c.Server, c.Client = c.Servers[m.number%len(c.Servers)], fmt.Sprintf("%s-%d", c.Service, m.number)
	p, err := d.param(c)
	if err != nil {
		return err
	}
	if m.naming, err = clients.NewNamingClient(p); err != nil {
		return err
	}
	if m.number%10 == 0 {
		if m.config, err = clients.NewConfigClient(p); err != nil {
			return err
		}
	}
	if err = s.register(m, 0); err != nil {
		return fmt.Errorf("member %d: register: %w", m.number, err)
	}
	return m.naming.Subscribe(&vo.SubscribeParam{ServiceName: m.service, GroupName: constant.DEFAULT_GROUP,
		SubscribeCallback: func(l []model.Instance, err error) {
			if err == nil {
				s.told(m, l)
			}
		}})
}

// register says something new each time, so that subscribers are told.
func (s *swarm) register(m *member, turn int) error {
	_, err := m.naming.RegisterInstance(vo.RegisterInstanceParam{Ip: m.ip, Port: swarmPort, Weight: 1, Enable: true, Healthy: true,
		Metadata: map[string]string{"turn": strconv.Itoa(turn)}, ServiceName: m.service, GroupName: constant.DEFAULT_GROUP, Ephemeral: true})
	return err
}

// call is what a member asks the server in its turn: it registers anew, lists services, or uses configs.
func (s *swarm) call(m *member, turn int) (string, error) {
	if m.config != nil && turn%3 == 0 {
		key := vo.ConfigParam{DataId: fmt.Sprintf("swarm-%d", m.number), Group: constant.DEFAULT_GROUP, Content: fmt.Sprintf("turn %d", turn)}
		if _, err := m.config.PublishConfig(key); err != nil {
			return "publish", err
		}
		got, err := m.config.GetConfig(key)
		if err == nil && got != key.Content {
			err = fmt.Errorf("got %q right after publishing %q", got, key.Content)
		}
		return "get", err
	}
	if turn%4 == 1 {
		return "register", s.register(m, turn)
	}
	_, err := m.naming.GetAllServicesInfo(vo.GetAllServiceInfoParam{GroupName: constant.DEFAULT_GROUP, PageNo: 1, PageSize: 10})
	return "services", err
}

func (s *swarm) work(m *member, every time.Duration) {
	defer s.wait.Done()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for turn := m.number; ; turn++ {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		begin := time.Now()
		what, err := s.call(m, turn)
		took := time.Since(begin)
		s.mutex.Lock()
		s.calls++
		s.slowest = max(s.slowest, took)
		if err != nil {
			s.errorCount++
			if len(s.errors) < complaintsMax {
				s.errors = append(s.errors, fmt.Sprintf("%s member %d: %s after %d ms: %v",
					time.Now().UTC().Format("15:04:05.000"), m.number, what, took.Milliseconds(), err))
			}
		}
		s.mutex.Unlock()
	}
}

// arm names the members that have not been told a whole list yet; with none, false removals count from now on.
func (s *swarm) arm() any {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	waiting := []string{}
	for _, m := range s.members {
		if len(m.last) < s.sizeOf(m) {
			waiting = append(waiting, fmt.Sprintf("member %d of %s has %v", m.number, m.service, m.last))
		}
	}
	s.armed = s.armed || len(waiting) == 0
	return waiting
}

func (s *swarm) report() any {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return map[string]any{"calls": s.calls, "events": s.events, "slowestMs": s.slowest.Milliseconds(), "errorCount": s.errorCount,
		"errors": append([]string{}, s.errors...), "falseRemovals": append([]string{}, s.falseRemovals...)}
}

func (s *swarm) close() any {
	s.mutex.Lock()
	s.armed = false // members leave one after the other, and see it
	s.mutex.Unlock()
	close(s.stop)
	s.wait.Wait()
	for _, m := range s.members {
		m.naming.CloseClient()
		if m.config != nil {
			m.config.CloseClient()
		}
	}
	return true
}

func (d *driver) runSwarm(c command) (any, error) {
	if c.Op == "swarm-open" {
		return d.swarmOpen(c)
	}
	if d.swarm == nil {
		return nil, fmt.Errorf("no swarm")
	}
	switch c.Op {
	case "swarm-arm":
		return d.swarm.arm(), nil
	case "swarm-report":
		return d.swarm.report(), nil
	case "swarm-close":
		return d.swarm.close(), nil
	}
	return nil, fmt.Errorf("unknown op %s", c.Op)
}
