"""Applications of chains, and what is needed to run them and to talk to them."""

import os

# Has to be set before gRPC is imported; so the packages above this one, which import it too, import this one first.
# gRPC's handlers of a fork stop its poller under the threads that use it and start it again in the child.  A child that
# is about to execute another program closes the poller's files then, which ends it ("epoll_wait error: Bad file
# descriptor"; 4 of 150 children started beside calls).  No process of ours goes on with a channel after a fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
