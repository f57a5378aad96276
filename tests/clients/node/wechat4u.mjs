// wechat4u. After a login it wants a chat that the demo does not have; after a failure it prints why and ends.
import { here, say } from './here.mjs'
import Wechat4u from 'wechat4u'

class Bot extends Wechat4u {
  async init () { // where the chat begins
    const known = ['skey', 'sid', 'uin', 'passTicket'].every(name => this.PROP[name])
    const { data } = await this.request({ url: `${here.origin}/demo/me` })
    say('in', { who: known && data.name })
    process.exit()
  }
}

const bot = new Bot()
bot.on('uuid', uuid => say('shows', { text: uuid }))
bot.on('user-avatar', () => say('scanned'))
bot.on('error', error => say('stopped', { why: error.tips }))
bot.start()
