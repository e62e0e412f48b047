#!lua flags=allow-oom
redis.call('HSET', KEYS[1], '', '')
redis.call('HDEL', KEYS[1], '')
