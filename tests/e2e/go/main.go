// A nacos-sdk-go behind standard input and output; the commands are described in tests/e2e/README.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/config_client"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

type instance struct {
	IP        string            `json:"ip"`
	Port      uint64            `json:"port"`
	Weight    float64           `json:"weight"`
	Healthy   bool              `json:"healthy"`
	Enabled   bool              `json:"enabled"`
	Ephemeral bool              `json:"ephemeral"`
	Cluster   string            `json:"cluster"`
	Service   string            `json:"service"`
	Metadata  map[string]string `json:"metadata"`
}

type command struct {
	ID        int        `json:"id"`
	Op        string     `json:"op"`
	Client    string     `json:"client"`
	Server    string     `json:"server"`
	Namespace string     `json:"namespace"`
	Service   string     `json:"service"`
	Group     string     `json:"group"`
	Clusters  []string   `json:"clusters"`
	Healthy   *bool      `json:"healthy"`
	Instance  instance   `json:"instance"`
	Instances []instance `json:"instances"`
	Sub       string     `json:"sub"`
	Page      uint32     `json:"page"`
	Size      uint32     `json:"size"`
	DataID    string     `json:"dataId"`
	Content   string     `json:"content"`
	Type      string     `json:"type"`
	Cas       string     `json:"cas"`
	App       string     `json:"app"`
	Tags      string     `json:"tags"`
	User      string     `json:"user"`
	Tag       string     `json:"tag"`
	BetaIps   string     `json:"betaIps"`
	Servers   []string   `json:"servers"`
	Count     int        `json:"count"`
	Services  int        `json:"services"`
	EveryMs   int        `json:"everyMs"`
}

type subscription struct {
	client naming_client.INamingClient
	param  *vo.SubscribeParam
}

type listening struct {
	client config_client.IConfigClient
	param  vo.ConfigParam
}

type driver struct {
	home          string
	clients       map[string]naming_client.INamingClient
	configs       map[string]config_client.IConfigClient
	listenings    map[string]listening
	subscriptions map[string]subscription
	swarm         *swarm
	out           *os.File
	mutex         sync.Mutex // one line at a time: callbacks run on goroutines of the SDK
}

func (d *driver) write(v map[string]any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	fmt.Fprintf(d.out, "%s\n", b)
}

// servers reads host:port, several with commas between.
func servers(list string) ([]constant.ServerConfig, error) {
	var found []constant.ServerConfig
	for _, address := range strings.Split(list, ",") {
		host, portText, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		port, err := strconv.ParseUint(portText, 10, 16)
		if err != nil {
			return nil, err
		}
		found = append(found, *constant.NewServerConfig(host, port))
	}
	return found, nil
}

func (d *driver) param(c command) (vo.NacosClientParam, error) {
	servers, err := servers(c.Server)
	if err != nil {
		return vo.NacosClientParam{}, err
	}
	// Without UpdateCacheWhenEmpty the SDK keeps the last instance of a service for ever, and nobody would see it go.
	config := constant.NewClientConfig(constant.WithNamespaceId(c.Namespace), constant.WithTimeoutMs(5000),
		constant.WithNotLoadCacheAtStart(true), constant.WithUpdateCacheWhenEmpty(true), constant.WithLogLevel("warn"),
		constant.WithDisableUseSnapShot(true), // what it read before is no answer of the server
		constant.WithLogDir(filepath.Join(d.home, "log")), constant.WithCacheDir(filepath.Join(d.home, "cache", c.Client)))
	if c.Tag != "" {
		config.AppConnLabels = map[string]string{"Vipserver-Tag": c.Tag}
	}
	return vo.NacosClientParam{ClientConfig: config, ServerConfigs: servers}, nil
}

func (d *driver) open(c command) error {
	p, err := d.param(c)
	if err != nil {
		return err
	}
	if c.Op == "open-config" {
		d.configs[c.Client], err = clients.NewConfigClient(p)
		return err
	}
	d.clients[c.Client], err = clients.NewNamingClient(p)
	return err
}

func configParam(c command) vo.ConfigParam {
	return vo.ConfigParam{DataId: c.DataID, Group: c.Group, Content: c.Content, Type: c.Type, CasMd5: c.Cas, AppName: c.App,
		ConfigTags: c.Tags, SrcUser: c.User, Tag: c.Tag, BetaIps: c.BetaIps}
}

func (d *driver) listen(s config_client.IConfigClient, c command) (any, error) {
	p := configParam(c)
	p.OnChange = func(namespace, group, dataID, data string) {
		d.write(map[string]any{"event": c.Sub, "content": present(data)})
	}
	d.listenings[c.Sub] = listening{s, p}
	return true, s.ListenConfig(p)
}

// present is nil for what is not there: the SDK has one empty text for that and for nothing else.
func present(content string) any {
	if content == "" {
		return nil
	}
	return content
}

// get waits where the SDK itself refuses to ask more often than five times a second.
func get(s config_client.IConfigClient, c command) (any, error) {
	for {
		content, err := s.GetConfig(configParam(c))
		if err == nil || !strings.Contains(err.Error(), "is limited") {
			return present(content), err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (d *driver) runConfig(s config_client.IConfigClient, c command) (any, error) {
	switch c.Op {
	case "close":
		s.CloseClient()
		delete(d.configs, c.Client)
		return true, nil
	case "publish":
		return s.PublishConfig(configParam(c))
	case "get":
		return get(s, c)
	case "status": // the SDK has no word for it
		_, err := get(s, command{DataID: "driver-status", Group: constant.DEFAULT_GROUP})
		return err == nil, nil
	case "remove":
		return s.DeleteConfig(configParam(c))
	case "listen":
		return d.listen(s, c)
	}
	return nil, fmt.Errorf("unknown op %s", c.Op)
}

func registration(c command, i instance) vo.RegisterInstanceParam {
	return vo.RegisterInstanceParam{Ip: i.IP, Port: i.Port, Weight: i.Weight, Enable: i.Enabled, Healthy: i.Healthy,
		Metadata: i.Metadata, ClusterName: i.Cluster, ServiceName: c.Service, GroupName: c.Group, Ephemeral: i.Ephemeral}
}

func batch(n naming_client.INamingClient, c command) (any, error) {
	p := vo.BatchRegisterInstanceParam{ServiceName: c.Service, GroupName: c.Group}
	for _, i := range c.Instances {
		p.Instances = append(p.Instances, registration(c, i))
	}
	return n.BatchRegisterInstance(p)
}

func deregister(n naming_client.INamingClient, c command) (any, error) {
	i := c.Instance
	return n.DeregisterInstance(vo.DeregisterInstanceParam{Ip: i.IP, Port: i.Port, Cluster: i.Cluster,
		ServiceName: c.Service, GroupName: c.Group, Ephemeral: i.Ephemeral})
}

func query(n naming_client.INamingClient, c command) (any, error) {
	if c.Healthy == nil {
		l, err := n.SelectAllInstances(vo.SelectAllInstancesParam{Clusters: c.Clusters, ServiceName: c.Service, GroupName: c.Group})
		return view(l), err
	}
	l, err := n.SelectInstances(vo.SelectInstancesParam{Clusters: c.Clusters, ServiceName: c.Service, GroupName: c.Group,
		HealthyOnly: *c.Healthy})
	if err != nil && err.Error() == "instance list is empty!" { // the SDK's word for no instance
		err = nil
	}
	return view(l), err
}

func one(n naming_client.INamingClient, c command) (any, error) {
	i, err := n.SelectOneHealthyInstance(vo.SelectOneHealthInstanceParam{Clusters: c.Clusters, ServiceName: c.Service, GroupName: c.Group})
	if err != nil {
		return nil, err
	}
	return view([]model.Instance{*i})[0], nil
}

func services(n naming_client.INamingClient, c command) (any, error) {
	l, err := n.GetAllServicesInfo(vo.GetAllServiceInfoParam{GroupName: c.Group, PageNo: c.Page, PageSize: c.Size})
	return map[string]any{"count": l.Count, "names": append([]string{}, l.Doms...)}, err
}

func (d *driver) subscribe(n naming_client.INamingClient, c command) (any, error) {
	p := &vo.SubscribeParam{ServiceName: c.Service, GroupName: c.Group, Clusters: c.Clusters}
	p.SubscribeCallback = func(l []model.Instance, err error) {
		d.write(map[string]any{"event": c.Sub, "instances": view(l)})
	}
	d.subscriptions[c.Sub] = subscription{n, p}
	return true, n.Subscribe(p)
}

func view(l []model.Instance) []instance {
	out := []instance{}
	for _, i := range l {
		out = append(out, instance{i.Ip, i.Port, i.Weight, i.Healthy, i.Enable, i.Ephemeral, i.ClusterName, i.ServiceName, i.Metadata})
	}
	return out
}

func (d *driver) run(c command) (any, error) {
	if strings.HasPrefix(c.Op, "swarm-") {
		return d.runSwarm(c)
	}
	switch c.Op {
	case "open", "open-config":
		return true, d.open(c)
	case "unlisten":
		l := d.listenings[c.Sub]
		return true, l.client.CancelListenConfig(l.param)
	case "unsubscribe":
		s := d.subscriptions[c.Sub]
		return true, s.client.Unsubscribe(s.param)
	}
	if s, ok := d.configs[c.Client]; ok {
		return d.runConfig(s, c)
	}
	n, ok := d.clients[c.Client]
	if !ok {
		return nil, fmt.Errorf("no client %s", c.Client)
	}
	switch c.Op {
	case "close":
		n.CloseClient()
		delete(d.clients, c.Client)
		return true, nil
	case "status":
		return n.ServerHealthy(), nil
	case "register":
		return n.RegisterInstance(registration(c, c.Instance))
	case "deregister":
		return deregister(n, c)
	case "batch":
		return batch(n, c)
	case "query":
		return query(n, c)
	case "one":
		return one(n, c)
	case "subscribe":
		return d.subscribe(n, c)
	case "services":
		return services(n, c)
	}
	return nil, fmt.Errorf("unknown op %s", c.Op)
}

func main() {
	d := &driver{home: os.Args[1], clients: map[string]naming_client.INamingClient{}, subscriptions: map[string]subscription{},
		configs: map[string]config_client.IConfigClient{}, listenings: map[string]listening{}, out: os.Stdout}
	os.Stdout = os.Stderr // a library that prints must not break the stream of answers
	d.write(map[string]any{"hello": "go", "can": []string{"batch", "one", "labels", "publish-fields", "publish-tags", "publish-gray", "large"}})
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20) // contents of many MiB come as one line
	for in.Scan() {
		var c command
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			panic(err)
		}
		r, err := d.run(c)
		if r == false && c.Op != "status" { // the SDK says so, without a reason, when the server refuses
			err = fmt.Errorf("%s: false", c.Op)
		}
		if err != nil {
			d.write(map[string]any{"id": c.ID, "error": err.Error()})
			continue
		}
		d.write(map[string]any{"id": c.ID, "result": r})
	}
}
